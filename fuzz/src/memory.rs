//! How much memory a run takes.

use peak_alloc::PeakAlloc;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// What is added to the memory in use while `run` runs, at most, in bytes.
pub(crate) fn peak_of<T>(run: impl FnOnce() -> T) -> (T, usize) {
    MEMORY.reset_peak_usage();
    let before = MEMORY.current_usage();
    let made = run();
    (made, MEMORY.peak_usage().saturating_sub(before))
}
