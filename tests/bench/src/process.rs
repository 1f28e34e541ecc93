//! What the operating system says of processes (Linux).

use std::error::Error;
use std::process::{Command, Stdio};

/// The most memory this process has held, in MB.
pub(crate) fn peak_memory_mb() -> Result<f64, Box<dyn Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).ok_or("no VmHWM in /proc/self/status")?;
    let kilobytes: f64 = line.split_whitespace().nth(1).ok_or("no figure in VmHWM")?.parse()?;
    Ok(kilobytes / 1_024.0)
}

/// The processor time this process has used, in ms.
pub(crate) fn cpu_ms() -> Result<f64, Box<dyn Error>> {
    cpu_ms_of(std::process::id())
}

/// The processor time a process has used, in ms. The kernel counts it in ticks of 10 ms.
pub(crate) fn cpu_ms_of(pid: u32) -> Result<f64, Box<dyn Error>> {
    let fields = stat_of(pid)?;
    let ticks = |index: usize| -> Result<f64, Box<dyn Error>> { Ok(fields.get(index).ok_or("short stat")?.parse()?) };
    Ok((ticks(11)? + ticks(12)?) * 10.0)
}

/// The same to the microsecond, of the threads that the process has now.
pub(crate) fn exact_cpu_ms_of(pid: u32) -> Result<f64, Box<dyn Error>> {
    let mut nanoseconds = 0.0;
    for thread in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        let told = std::fs::read_to_string(thread?.path().join("schedstat"))?;
        let ran: f64 = told.split_whitespace().next().ok_or("an empty schedstat")?.parse()?;
        nanoseconds += ran;
    }
    Ok(nanoseconds / 1e6)
}

/// The one child of a process.
pub(crate) fn child_of(parent: u32) -> Result<u32, Box<dyn Error>> {
    let pids = std::fs::read_dir("/proc")?.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let is_child = |pid: &u32| stat_of(*pid).is_ok_and(|fields| fields.get(1) == Some(&parent.to_string()));
    pids.into_iter().find(is_child).ok_or_else(|| "the process has no child".into())
}

/// What `/proc/<pid>/stat` says behind the name, which may hold spaces.
fn stat_of(pid: u32) -> Result<Vec<String>, Box<dyn Error>> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let behind_name = stat.rsplit_once(')').ok_or("no name in stat")?.1;
    Ok(behind_name.split_whitespace().map(str::to_owned).collect())
}

/// Runs this program again with other arguments, and returns the figures it prints.
pub(crate) async fn figures(arguments: &[&str]) -> Result<Vec<f64>, Box<dyn Error>> {
    let mut child = Command::new(std::env::current_exe()?);
    child.args(arguments);
    figures_of(child).await
}

/// Runs a program and returns the figures it prints.
pub(crate) async fn figures_of(mut program: Command) -> Result<Vec<f64>, Box<dyn Error>> {
    program.stdout(Stdio::piped());
    let told = format!("{program:?}");
    let output = tokio::task::spawn_blocking(move || program.output()).await??;
    if !output.status.success() {
        return Err(format!("{told} failed: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    let text = String::from_utf8(output.stdout)?;
    text.split_whitespace().map(|figure| Ok(figure.parse()?)).collect()
}
