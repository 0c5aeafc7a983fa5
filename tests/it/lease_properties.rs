//! Properties of leases: any order of acquisitions, renewals, writes, pauses, crashes and releases on several instances
//! lets only the latest holder commit.

use std::cell::Cell;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use switchboard::platform::clock::{Clock, Timestamp};
use switchboard::platform::jobs::{LEASE_DURATION, Lease, LeaseKey};

use tokio::runtime::Handle;
use tokio::task::block_in_place;

use crate::support::{TestApp, on_each_shared_database};

const CASES: u32 = 48;
const STEPS: usize = 30;
const INSTANCES: usize = 3;
const MAX_WAIT: Duration = Duration::from_secs(30);

#[derive(Clone, Copy, Debug)]
enum Step {
    /// An instance tries to acquire the lease. If it believes that it holds one, that is forgotten.
    Acquire(usize),
    Renew(usize),
    /// An instance writes the next number under its lease.
    Write(usize),
    /// Like a write, but rolled back.
    RollBack(usize),
    Release(usize, u64),
    /// An instance loses its memory.
    Crash(usize),
    /// Time passes, in seconds.
    Wait(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let instance = || 0..INSTANCES;
    let step = prop_oneof![
        4 => instance().prop_map(Step::Acquire),
        2 => instance().prop_map(Step::Renew),
        5 => instance().prop_map(Step::Write),
        1 => instance().prop_map(Step::RollBack),
        1 => (instance(), 0..20_u64).prop_map(|(instance, wait)| Step::Release(instance, wait)),
        1 => instance().prop_map(Step::Crash),
        3 => (1..20_u64).prop_map(Step::Wait),
    ];
    vec(step, 1..STEPS)
}

/// The expected state of the lease.
struct Model {
    /// Number of the latest acquisition, while it is held.
    holder: Option<u32>,
    expires_at: Timestamp,
    due_at: Timestamp,
    attempts: u32,
    acquisitions: u32,
    /// Committed numbers.
    written: i64,
}

struct Case<'a> {
    apps: &'a [TestApp],
    key: LeaseKey,
    /// The lease that each instance believes to hold, and the number of its acquisition.
    leases: Vec<Option<(Lease, u32)>>,
    model: Model,
}

impl Case<'_> {
    fn is_holder(&self, instance: usize) -> bool {
        let believed = self.leases[instance].as_ref().map(|(_, number)| *number);
        believed.is_some() && believed == self.model.holder
    }

    async fn run_step(&mut self, step: Step) {
        let now = self.apps[0].clock.now();
        match step {
            Step::Acquire(instance) => {
                let platform = &self.apps[instance].app.platform;
                let lease = Lease::acquire(platform, self.key.clone(), MAX_WAIT).await;
                let lease = lease.expect("the database answers");
                let model = &mut self.model;
                let is_free = model.holder.is_none() || model.expires_at <= now;
                assert_eq!(lease.is_some(), is_free && model.due_at <= now);
                let Some(lease) = lease else { return };
                model.acquisitions += 1;
                model.attempts += 1;
                assert_eq!(lease.attempts, model.attempts);
                let saved = (model.written > 0).then(|| model.written.to_string());
                assert_eq!(lease.watermark, saved);
                (model.holder, model.expires_at) = (Some(model.acquisitions), now + LEASE_DURATION);
                self.leases[instance] = Some((lease, model.acquisitions));
            }
            Step::Renew(instance) => {
                let Some((lease, _)) = &self.leases[instance] else { return };
                let renewed = lease.renew(&self.apps[instance].app.platform).await;
                assert_eq!(renewed.is_ok(), self.is_holder(instance));
                if renewed.is_ok() {
                    self.model.expires_at = now + LEASE_DURATION;
                }
            }
            Step::Write(instance) => {
                let Some((lease, _)) = &self.leases[instance] else { return };
                let next = (self.model.written + 1).to_string();
                let platform = &self.apps[instance].app.platform;
                let work = platform.begin().await.expect("begun");
                let fenced = lease.save_watermark(platform, &work, &next).await;
                assert_eq!(fenced.is_ok(), self.is_holder(instance), "only the holder writes");
                if fenced.is_ok() {
                    work.commit().await.expect("committed");
                    self.model.written += 1;
                    self.model.expires_at = now + LEASE_DURATION;
                }
            }
            Step::RollBack(instance) => {
                let Some((lease, _)) = &self.leases[instance] else { return };
                let platform = &self.apps[instance].app.platform;
                let work = platform.begin().await.expect("begun");
                let fenced = lease.save_watermark(platform, &work, "rolled back").await;
                assert_eq!(fenced.is_ok(), self.is_holder(instance));
            }
            Step::Release(instance, wait) => {
                let is_holder = self.is_holder(instance);
                let Some((lease, _)) = self.leases[instance].take() else { return };
                let due_at = now + Duration::from_secs(wait);
                let released = lease.release(&self.apps[instance].app.platform, due_at).await;
                assert_eq!(released.is_ok(), is_holder);
                if is_holder {
                    (self.model.holder, self.model.due_at, self.model.attempts) = (None, due_at, 0);
                }
            }
            Step::Crash(instance) => self.leases[instance] = None,
            Step::Wait(seconds) => self.apps[0].clock.advance(Duration::from_secs(seconds)),
        }
    }
}

async fn check(apps: &[TestApp], number: u32, steps: Vec<Step>) {
    let now = apps[0].clock.now();
    let model = Model {
        holder: None,
        expires_at: now,
        due_at: now,
        attempts: 0,
        acquisitions: 0,
        written: 0,
    };
    let key = LeaseKey { kind: "test", key: number.to_string().into() };
    let leases = (0..INSTANCES).map(|_| None).collect();
    let mut case = Case { apps, key, leases, model };
    for step in steps {
        case.run_step(step).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_latest_holder_of_a_lease_commits() {
    on_each_shared_database(async |database| {
        let first = TestApp::new(database).await;
        let mut apps = vec![first];
        for seed in 2..=INSTANCES as u64 {
            apps.push(apps[0].instance(database, &[], seed).await);
        }
        let case_number = Cell::new(0);
        let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
        let result = TestRunner::new(config).run(&steps(), |steps| {
            case_number.set(case_number.get() + 1);
            let case = check(&apps, case_number.get(), steps);
            block_in_place(|| Handle::current().block_on(case));
            Ok(())
        });
        result.unwrap_or_else(|failure| panic!("{failure}"));
    })
    .await;
}
