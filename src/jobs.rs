//! The background jobs, and the loops that run them.

use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::Arc;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, TryFutureExt};
use tokio::task::JoinSet;
use tracing::Instrument;

use crate::accounts;
use crate::app::App;
use crate::avatars;
use crate::bonuses;
use crate::connections;
use crate::dashboard;
use crate::error::Result;
use crate::games;
use crate::messages;
use crate::people;
use crate::platform::clock::Timestamp;
use crate::platform::events;
use crate::platform::files;
use crate::platform::jobs::{self, JobOutcome, JobStats, Trigger};
use crate::platform::shared_rate_limit;
use crate::platform::statistics;

impl App {
    /// Runs each background job once, up to the first that fails.
    pub async fn run_due_jobs(&self) -> Result<()> {
        for index in 0..JOBS.len() {
            self.run_job(index).await?;
        }
        Ok(())
    }

    /// Runs the background jobs until the process stops. Each has its own task, so that none holds up another.
    pub async fn run_jobs(self: Arc<Self>) {
        let mut tasks = JoinSet::new();
        for (index, job) in JOBS.iter().enumerate() {
            let app = self.clone();
            let span = tracing::info_span!("job", job_name = job.name);
            let job_loop = async move {
                let trigger = (job.trigger)(&app);
                let run = || app.run_job(index).boxed();
                jobs::run_loop(&app.platform, &app.stopping, trigger, run).await;
            };
            tasks.spawn(job_loop.instrument(span));
        }
        tasks.join_all().await;
    }

    async fn run_job(&self, index: usize) -> Result<Option<Timestamp>> {
        let started_at = self.platform.uptime();
        let outcome = AssertUnwindSafe((JOBS[index].run)(self)).catch_unwind().await;
        let duration = self.platform.uptime().saturating_sub(started_at);
        let job_outcome = match &outcome {
            Ok(Ok(_)) => JobOutcome::Succeeded,
            Ok(Err(error)) => JobOutcome::Failed(error.code()),
            Err(_) => JobOutcome::Panicked,
        };
        self.stats()[index].1.record(job_outcome, duration, self.platform.now());
        outcome.unwrap_or_else(|panic| resume_unwind(panic))
    }

    /// The names of all background jobs and their statistics.
    pub fn job_stats(&self) -> impl Iterator<Item = (&'static str, &JobStats)> {
        self.stats().iter().map(|(name, stats)| (*name, stats))
    }

    /// Lists all jobs for the state of the system, before the first of them runs.
    pub(crate) fn name_jobs(&self) {
        self.stats();
    }

    fn stats(&self) -> &[(&'static str, JobStats)] {
        self.job_stats.get_or_init(|| JOBS.iter().map(|job| job.name).collect())
    }
}

/// A background job.
struct Job {
    /// Name in the log and the metrics.
    name: &'static str,
    /// Starts the job before its next poll.
    trigger: for<'a> fn(&'a App) -> Trigger<'a>,
    /// Runs the job once. Returns when it is due again, if that is known.
    run: for<'a> fn(&'a App) -> BoxFuture<'a, Result<Option<Timestamp>>>,
}

/// All background jobs.
const JOBS: [Job; 34] = [
    Job {
        name: "poll_revocations",
        trigger: |app| Trigger::Event(app.platform.events.listen(accounts::revocation_topic())),
        run: |app| {
            accounts::poll_revocations(&app.accounts, &app.platform).map_ok(|()| None).boxed()
        },
    },
    Job {
        name: "poll_announcements",
        trigger: |_| Trigger::Interval,
        run: |app| events::poll_announcements(&app.platform).boxed(),
    },
    Job {
        name: "probe_database_writes",
        trigger: |_| Trigger::Interval,
        run: |app| {
            let platform = &app.platform;
            platform.database.probe_writes(platform.now()).map(|()| Ok(None)).boxed()
        },
    },
    Job {
        name: "report_instance",
        trigger: |_| Trigger::Interval,
        run: |app| app.instance.report(&app.platform, app.sockets.len()).map_ok(|()| None).boxed(),
    },
    Job {
        name: "purge_sessions",
        trigger: |_| Trigger::Interval,
        run: |app| accounts::purge_expired(&app.platform).boxed(),
    },
    Job {
        name: "purge_orphaned_avatars",
        trigger: |_| Trigger::Interval,
        run: |app| avatars::purge_orphans(&app.platform).boxed(),
    },
    Job {
        name: "purge_discarded_avatars",
        trigger: |_| Trigger::Interval,
        run: |app| avatars::purge_discarded(&app.platform).boxed(),
    },
    Job {
        name: "purge_unfinished_files",
        trigger: |_| Trigger::Interval,
        run: |app| files::purge_unfinished(&app.platform).boxed(),
    },
    Job {
        name: "purge_rate_limits",
        trigger: |_| Trigger::Interval,
        run: |app| shared_rate_limit::purge_expired(&app.platform).boxed(),
    },
    Job {
        name: "expire_rounds",
        trigger: |_| Trigger::Interval,
        run: |app| games::expire_all_overdue(&app.platform).boxed(),
    },
    Job {
        name: "purge_leaderboards",
        trigger: |_| Trigger::Interval,
        run: |app| games::purge_expired_leaderboards(&app.platform).boxed(),
    },
    Job {
        name: "update_leaderboards",
        trigger: |app| Trigger::Notifier(&app.games.leaderboard_updater.notifier),
        run: |app| {
            games::update_leaderboards(&app.games.leaderboard_updater, &app.platform).boxed()
        },
    },
    Job {
        name: "send_reset_codes",
        trigger: |app| Trigger::Notifier(&app.accounts.reset_code_notifier),
        run: |app| accounts::send_reset_codes(&app.accounts, &app.platform).boxed(),
    },
    Job {
        name: "watch_bonus_inbox",
        trigger: |_| Trigger::Interval,
        run: |app| {
            let inbox = app.bonus_inbox.as_ref();
            bonuses::watch_inbox(inbox, &app.bonuses, &app.platform, &app.stopping).boxed()
        },
    },
    Job {
        name: "purge_bonus_files",
        trigger: |_| Trigger::Interval,
        run: |app| bonuses::purge_files(&app.platform).boxed(),
    },
    Job {
        name: "apply_bonus_imports",
        trigger: |app| Trigger::Notifier(&app.bonuses.import_notifier),
        run: |app| bonuses::run_imports(&app.bonuses, &app.platform, &app.stopping).boxed(),
    },
    Job {
        name: "fetch_leads",
        trigger: |app| Trigger::Notifier(&app.bonuses.leads.fetch_notifier),
        run: |app| bonuses::fetch_leads(&app.bonuses, &app.platform, &app.stopping).boxed(),
    },
    Job {
        name: "apply_leads",
        trigger: |app| Trigger::Notifier(&app.bonuses.leads.apply_notifier),
        run: |app| bonuses::apply_leads(&app.bonuses, &app.platform, &app.stopping).boxed(),
    },
    Job {
        name: "purge_leads",
        trigger: |_| Trigger::Interval,
        run: |app| bonuses::purge_leads(&app.platform).boxed(),
    },
    Job {
        name: "record_connection_calls",
        trigger: |_| Trigger::Interval,
        run: |app| {
            connections::record_calls(&app.connections, &app.platform).map_ok(|()| None).boxed()
        },
    },
    Job {
        name: "refresh_connections",
        trigger: |_| Trigger::Interval,
        run: |app| connections::refresh_due(&app.connections, &app.platform).boxed(),
    },
    Job {
        name: "retry_connections",
        trigger: |_| Trigger::Interval,
        run: |app| {
            connections::retry_failed(&app.connections, &app.platform).map_ok(|()| None).boxed()
        },
    },
    Job {
        name: "purge_connections",
        trigger: |_| Trigger::Interval,
        run: |app| connections::purge_expired(&app.platform).boxed(),
    },
    Job {
        name: "expire_messages",
        trigger: |_| Trigger::Interval,
        run: |app| messages::expire(&app.messages, &app.platform).boxed(),
    },
    Job {
        name: "send_messages",
        trigger: |app| Trigger::Notifier(&app.messages.notifier),
        run: |app| messages::send_due(&app.messages, &app.platform, &app.stopping).boxed(),
    },
    Job {
        name: "reconcile_messages",
        trigger: |_| Trigger::Interval,
        run: |app| messages::reconcile(&app.messages, &app.platform).boxed(),
    },
    Job {
        name: "publish_queue_changes",
        trigger: |app| Trigger::Event(app.platform.events.listen(messages::transitions_topic())),
        run: |app| messages::publish_queue_changes(&app.messages, &app.platform).boxed(),
    },
    Job {
        name: "publish_challenge_changes",
        trigger: |_| Trigger::Interval,
        run: |app| accounts::publish_challenge_changes(&app.accounts, &app.platform).boxed(),
    },
    Job {
        name: "apply_message_retention",
        trigger: |_| Trigger::Interval,
        run: |app| messages::apply_retention(&app.messages, &app.platform).boxed(),
    },
    Job {
        name: "fold_statistics",
        trigger: |_| Trigger::Interval,
        run: |app| statistics::fold(&app.platform).boxed(),
    },
    Job {
        name: "fold_activity",
        trigger: |_| Trigger::Interval,
        run: |app| people::fold_activity(&app.platform).boxed(),
    },
    Job {
        name: "purge_activity",
        trigger: |_| Trigger::Interval,
        run: |app| people::purge_activity(&app.platform).boxed(),
    },
    Job {
        name: "publish_dashboard_changes",
        trigger: |_| Trigger::Interval,
        run: |app| dashboard::publish_changes(&app.dashboards, &app.platform).boxed(),
    },
    Job {
        name: "publish_system_changes",
        trigger: |_| Trigger::Interval,
        run: |app| dashboard::publish_system_changes(&app.system_monitor, &app.platform).boxed(),
    },
];
