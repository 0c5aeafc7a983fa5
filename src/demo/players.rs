//! Players of demo data: who they are, how they can be reached, and how much they play.

use chrono::TimeDelta;

use super::calendar::Hour;
use super::random::{Random, trait_of};
use super::uuid_at;
use crate::games::GameKind;
use crate::ids::UserId;
use crate::people::DemoPerson;
use crate::platform::clock::Timestamp;
use crate::platform::phone::PhoneNumber;

/// Dutch mobile numbers that are not given out: nobody gets an SMS.
pub const PHONE_PREFIX: &str = "+3160";
/// How many such numbers there are.
pub const PHONES: u32 = 10_000_000;
/// The part of the players who have a phone.
const WITH_PHONE: f64 = 0.6;
const WITH_EMAIL: f64 = 0.5;

const FIRST_NAMES: [&str; 24] = [
    "Ada", "Bas", "Chloé", "Daan", "Eva", "Femke", "Giulia", "Hugo", "Inès", "Jan", "Kofi",
    "Lotte", "Mehmet", "Nora", "Olivia", "Paul", "Quinn", "Rosa", "Sem", "Tess", "Umar", "Vera",
    "Wout", "Zoë",
];
const LAST_NAMES: [&str; 20] = [
    "de Vries", "Jansen", "Bakker", "Peeters", "Müller", "Martin", "Rossi", "García", "Nowak",
    "Smith", "Kaya", "Okafor", "Visser", "Mulder", "Dubois", "Weber", "Silva", "Novák", "Berg",
    "Kok",
];

/// What the rounds of a player need to know.
#[derive(Clone, Copy, Debug)]
pub struct Player {
    /// The user.
    pub id: UserId,
    /// When they signed up, in seconds since 1970.
    pub joined_at: i64,
    /// The number behind the prefix.
    pub phone: Option<u32>,
}

/// Makes players, each with a number of its own.
pub struct PlayerFactory {
    random: Random,
    /// Tells the players of this run from those of others.
    tag: String,
    next_phone: u32,
}

impl PlayerFactory {
    /// A factory whose phone numbers begin with this one.
    pub fn new(mut random: Random, first_phone: u32) -> Self {
        let tag = data_encoding::BASE32_DNSSEC.encode(&random.bytes::<4>());
        Self { random, tag, next_phone: first_phone }
    }

    /// The part of the names that the players of this run share.
    pub fn tag(&self) -> &str {
        &self.tag
    }

    /// The players who sign up in an hour, in the order of time.
    pub fn make(&mut self, hour: &Hour) -> Vec<(Player, DemoPerson)> {
        (0..hour.new_players).map(|index| self.make_one(hour, index)).collect()
    }

    fn make_one(&mut self, hour: &Hour, index: u64) -> (Player, DemoPerson) {
        let number = hour.first_player + index;
        let created_at = moment_of(&mut self.random, hour.start, index, hour.new_players);
        let id = uuid_at(created_at, &mut self.random).into();
        let phone = self.random.happens(WITH_PHONE).then_some(self.next_phone);
        self.next_phone += u32::from(phone.is_some());
        let nickname = format!("demo-{}-{}", self.tag, number + 1);
        let email = self.random.happens(WITH_EMAIL).then(|| format!("{nickname}@demo.example.org"));
        let name = format!(
            "{} {}",
            pick(&mut self.random, &FIRST_NAMES),
            pick(&mut self.random, &LAST_NAMES)
        );
        let person =
            DemoPerson { id, nickname, name, email, phone: phone.map(phone_number), created_at };
        (Player { id, joined_at: created_at.timestamp(), phone }, person)
    }
}

/// The moment of one of several events in an hour, which follow each other. The last half minute is left free, in which
/// rounds end.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "microseconds of an hour"
)]
pub fn moment_of(random: &mut Random, start: Timestamp, index: u64, count: u64) -> Timestamp {
    let share = (index as f64 + random.fraction()) / count.max(1) as f64;
    start + TimeDelta::microseconds((share * 3_570_000_000.0) as i64)
}

fn pick(random: &mut Random, texts: &[&'static str]) -> &'static str {
    let index = random.below(texts.len() as u64);
    texts[usize::try_from(index).unwrap_or_default()]
}

/// The phone number with these digits behind the prefix.
pub fn phone_number(number: u32) -> PhoneNumber {
    let text = format!("{PHONE_PREFIX}{number:07}");
    PhoneNumber::parse(&text, None).expect("the prefix and seven digits are a phone number")
}

const ACTIVITY: u64 = 1;
const FAVOURITE: u64 = 2;
/// Days after which most have lost interest.
const INTEREST_DAYS: f64 = 21.0;

/// How likely it is that a player plays now. A few play most of the rounds, many hardly any, and all play less as time
/// goes by.
pub fn eagerness(number: u64, player: &Player, now: Timestamp) -> f64 {
    let activity = trait_of(number, ACTIVITY);
    #[expect(clippy::cast_precision_loss, reason = "days")]
    let days = (now.timestamp() - player.joined_at) as f64 / 86_400.0;
    activity.powi(3) * (0.25 + 0.75 * (-days / INTEREST_DAYS).exp())
}

/// The game that a player likes most.
pub fn favourite_game(number: u64) -> GameKind {
    match trait_of(number, FAVOURITE) {
        share if share < 0.5 => GameKind::CoinFlip,
        share if share < 0.8 => GameKind::Dice,
        _ => GameKind::LuckyNumber,
    }
}
