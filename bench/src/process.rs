//! CPU time and memory of a process.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::time::ClockId;
use nix::unistd::Pid;

/// A measured process, optionally with its children.
#[derive(Clone, Copy, Debug)]
pub struct Process {
    id: i32,
    has_children: bool,
}

impl Process {
    /// A process without children.
    pub fn single(id: u32) -> Self {
        Self { id: id.cast_signed(), has_children: false }
    }

    /// A process whose children do the work, like PostgreSQL.
    pub fn with_children(id: u32) -> Self {
        Self { has_children: true, ..Self::single(id) }
    }

    /// The CPU time used so far, in user and system mode, including ended threads.
    pub fn cpu_time(self) -> Result<Duration> {
        let mut used = cpu_time_of(self.id).context("the process is gone")?;
        if self.has_children {
            let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", self.id))?;
            // A child that ends meanwhile is included in the parent's counter the next time.
            used += children
                .split_whitespace()
                .filter_map(|id| cpu_time_of(id.parse().ok()?))
                .sum::<Duration>();
            used += self.ended_children_cpu_time()?;
        }
        Ok(used)
    }

    /// The CPU time used since `before`.
    pub fn cpu_since(self, before: Duration) -> Result<Duration> {
        Ok(self.cpu_time()?.saturating_sub(before))
    }

    /// The resident memory, in bytes.
    pub fn memory(self) -> Result<u64> {
        self.status("VmRSS:")
    }

    /// The highest resident memory so far, in bytes.
    pub fn peak_memory(self) -> Result<u64> {
        self.status("VmHWM:")
    }

    /// Makes the present resident memory the highest so far.
    pub fn reset_peak_memory(self) -> Result<()> {
        // proc_pid_clear_refs(5)
        Ok(fs::write(format!("/proc/{}/clear_refs", self.id), "5")?)
    }

    /// The ids of the process and of its children.
    pub fn process_ids(self) -> Result<Vec<Pid>> {
        let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", self.id))?;
        let children = children.split_whitespace().filter_map(|id| id.parse().ok());
        Ok(std::iter::once(self.id).chain(children).map(Pid::from_raw).collect())
    }

    fn status(self, line: &str) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id))?;
        let value =
            status.lines().find_map(|text| text.strip_prefix(line)).context("no such line")?;
        let kibibytes: u64 = value.trim().trim_end_matches(" kB").parse()?;
        Ok(kibibytes * 1024)
    }

    fn ended_children_cpu_time(self) -> Result<Duration> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.id))?;
        let (_, after_name) = stat.rsplit_once(") ").context("a process's name")?;
        // Fields 16 and 17 of proc(5), in hundredths of a second; the first after the name is field 3.
        let ticks = after_name.split(' ').skip(13).take(2).map(str::parse::<u64>);
        let ticks = ticks.sum::<Result<u64, _>>()?;
        Ok(Duration::from_millis(ticks * 10))
    }
}

fn cpu_time_of(id: i32) -> Option<Duration> {
    let clock = ClockId::pid_cpu_clock_id(Pid::from_raw(id)).ok()?;
    clock.now().ok().map(Duration::from)
}

/// Raises the limit of open files to the hard limit, for this process and those that it starts.
pub fn raise_open_files() -> Result<u64> {
    let (_, hard_limit) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, hard_limit, hard_limit)?;
    Ok(hard_limit)
}
