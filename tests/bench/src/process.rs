//! What the operating system says of this process (Linux).

use std::error::Error;
use std::process::{Command, Stdio};

/// The most memory this process has held, in MB.
pub(crate) fn peak_memory_mb() -> Result<f64, Box<dyn Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).ok_or("no VmHWM in /proc/self/status")?;
    let kilobytes: f64 = line.split_whitespace().nth(1).ok_or("no figure in VmHWM")?.parse()?;
    Ok(kilobytes / 1_024.0)
}

/// The processor time this process has used, in ms. The kernel counts it in ticks of 10 ms.
pub(crate) fn cpu_ms() -> Result<f64, Box<dyn Error>> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let behind_name = stat.rsplit_once(')').ok_or("no name in /proc/self/stat")?.1;
    let fields: Vec<&str> = behind_name.split_whitespace().collect();
    let ticks = |index: usize| -> Result<f64, Box<dyn Error>> { Ok(fields.get(index).ok_or("short stat")?.parse()?) };
    Ok((ticks(11)? + ticks(12)?) * 10.0)
}

/// Runs this program again with other arguments, and returns the figures it prints.
pub(crate) async fn figures(arguments: &[&str]) -> Result<Vec<f64>, Box<dyn Error>> {
    let mut child = Command::new(std::env::current_exe()?);
    child.args(arguments).stdout(Stdio::piped());
    let output = tokio::task::spawn_blocking(move || child.output()).await??;
    if !output.status.success() {
        return Err(format!("tidemark-bench {} failed", arguments.join(" ")).into());
    }
    let text = String::from_utf8(output.stdout)?;
    text.split_whitespace().map(|figure| Ok(figure.parse()?)).collect()
}
