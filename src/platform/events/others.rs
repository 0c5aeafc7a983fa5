//! What the other instances are to be told, until it is known that Redis has it; and what they tell.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use secrecy::SecretString;
use tokio::sync::{Notify, oneshot, watch};

use super::Events;

/// The most topics that wait. Beyond, the others are told that anything may have changed.
const MOST: usize = 10_000;

/// The other instances.
pub(super) struct Others {
    pub(super) url: SecretString,
    pub(super) link: watch::Sender<Link>,
    pub(super) figures: Figures,
    pending: Mutex<Pending>,
    added: Notify,
}

/// How the connection to Redis does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// It is being made.
    Trying,
    /// It is there.
    Connected,
    /// It is not there, for the so manieth time, and is tried again later.
    Resting(u32),
}

/// What went over Redis since this instance started.
#[derive(Debug, Default)]
pub struct Figures {
    /// Topics that the others were told.
    pub published: AtomicU64,
    /// Topics that the others told.
    pub heard: AtomicU64,
    /// How often everything was read again here, because events may have been lost.
    pub gaps: AtomicU64,
}

/// What is to be told, and who wants to know how many others heard it.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) news: News,
    pub(super) asked: Vec<oneshot::Sender<u64>>,
}

/// What is to be told.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum News {
    /// These changed. Each is told once, however often it did meanwhile.
    Topics(HashSet<String>),
    /// Anything may have.
    Everything,
}

impl Others {
    pub(super) fn new(url: SecretString) -> Self {
        Self {
            url,
            link: watch::Sender::new(Link::Trying),
            figures: Figures::default(),
            // Who was here before may have gone down between its deed and telling of it.
            pending: Mutex::new(Pending { news: News::Everything, asked: Vec::new() }),
            added: Notify::new(),
        }
    }

    /// Takes note of a topic, and waits for nothing.
    pub(super) fn add(&self, topic: &str) {
        self.pending.lock().news.add(topic);
        self.added.notify_one();
    }

    /// Takes note that anything may have changed.
    pub(super) fn add_everything(&self) {
        self.pending.lock().news = News::Everything;
        self.added.notify_one();
    }

    /// The same. Answers how many others heard of it, once they did.
    pub(super) fn ask(&self, topic: &str) -> oneshot::Receiver<u64> {
        let (asks, answer) = oneshot::channel();
        let mut pending = self.pending.lock();
        pending.news.add(topic);
        pending.asked.push(asks);
        drop(pending);
        self.added.notify_one();
        answer
    }

    /// Ends when there is something to tell.
    pub(super) async fn has_news(&self) {
        while self.pending.lock().news.is_empty() {
            self.added.notified().await;
        }
    }

    /// Everything that is to be told by now.
    pub(super) fn take(&self) -> Pending {
        let mut pending = self.pending.lock();
        Pending {
            news: std::mem::take(&mut pending.news),
            asked: std::mem::take(&mut pending.asked),
        }
    }

    /// Nobody knows whether this was told, so it is told once more.
    pub(super) fn put_back(&self, untold: Pending) {
        let mut pending = self.pending.lock();
        match untold.news {
            News::Topics(topics) => topics.iter().for_each(|topic| pending.news.add(topic)),
            News::Everything => pending.news = News::Everything,
        }
        pending.asked.extend(untold.asked.into_iter().filter(|asks| !asks.is_closed()));
    }
}

impl Default for News {
    fn default() -> Self {
        Self::Topics(HashSet::new())
    }
}

impl News {
    fn add(&mut self, topic: &str) {
        match self {
            Self::Topics(topics) if topics.contains(topic) => {}
            Self::Topics(topics) if topics.len() < MOST => {
                topics.insert(topic.to_owned());
            }
            _ => *self = Self::Everything,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        matches!(self, Self::Topics(topics) if topics.is_empty())
    }

    /// How many topics it names.
    pub(super) fn count(&self) -> u64 {
        match self {
            Self::Topics(topics) => topics.len() as u64,
            Self::Everything => 0,
        }
    }

    /// As it travels: who tells it, then a topic a line. No topic at all is everything.
    pub(super) fn written(&self, from: &str) -> String {
        let mut text = from.to_owned();
        if let Self::Topics(topics) = self {
            for topic in topics {
                text.extend(["\n", topic]);
            }
        }
        text
    }
}

impl Events {
    /// Hears what an instance has written. One's own words come back, and are passed over.
    pub(super) fn hear(&self, others: &Others, me: &str, text: &str) {
        let mut lines = text.split('\n');
        if lines.next() == Some(me) {
            return;
        }
        let mut count = 0;
        let topics = self.topics.lock();
        for name in lines {
            count += 1;
            if let Some(topic) = topics.get(name) {
                topic.tell();
            }
        }
        drop(topics);
        others.figures.heard.fetch_add(count, Ordering::Relaxed);
        if count == 0 {
            others.figures.gaps.fetch_add(1, Ordering::Relaxed);
            self.publish_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn others() -> Others {
        let others = Others::new("redis://127.0.0.1".to_owned().into());
        assert_eq!(others.take().news, News::Everything, "who starts tells that it was not there");
        others
    }

    fn hears(listener: &mut super::super::Listener) -> bool {
        listener.changed().now_or_never().is_some()
    }

    #[test]
    fn many_changes_of_a_topic_are_told_once() {
        let others = others();
        assert!(others.has_news().now_or_never().is_none());
        for _ in 0..3 {
            others.add("a");
            others.add("b");
        }
        assert!(others.has_news().now_or_never().is_some());
        let news = others.take().news;
        assert_eq!(news.count(), 2);
        assert!(others.has_news().now_or_never().is_none());
    }

    #[test]
    fn what_may_not_have_arrived_is_told_again_with_what_is_new() {
        let others = others();
        others.add("a");
        let lost = others.take();
        others.add("b");
        others.put_back(lost);
        assert_eq!(others.take().news, News::Topics(["a", "b"].map(str::to_owned).into()));
    }

    #[test]
    fn more_than_is_kept_is_everything_until_it_is_told() {
        let others = others();
        for number in 0..=MOST {
            others.add(&number.to_string());
        }
        others.add("a");
        assert_eq!(others.take().news, News::Everything);
        others.add("a");
        assert_eq!(others.take().news.count(), 1);
    }

    #[test]
    fn the_others_hear_the_topics_or_everything_and_oneself_nothing() {
        let (events, others) = (Events::default(), others());
        let (mut a, mut b) = (events.listen("a".to_owned()), events.listen("b".to_owned()));
        let mut news = News::default();
        news.add("a");
        news.add("of no one");
        events.hear(&others, "me", &news.written("me"));
        assert!(!hears(&mut a));
        events.hear(&others, "me", &news.written("you"));
        assert!(hears(&mut a) && !hears(&mut b));
        events.hear(&others, "me", &News::Everything.written("me"));
        assert!(!hears(&mut a));
        events.hear(&others, "me", &News::Everything.written("you"));
        assert!(hears(&mut a) && hears(&mut b));
        assert_eq!(others.figures.heard.load(Ordering::Relaxed), 2);
        assert_eq!(others.figures.gaps.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn what_is_published_here_does_not_travel() {
        let events = Events::new(Some("redis://127.0.0.1".to_owned().into()));
        let others = events.others.clone().expect("others");
        drop(others.take());
        events.publish_here("a");
        assert!(others.take().news.is_empty());
        events.publish("a");
        assert_eq!(others.take().news.count(), 1);
    }
}
