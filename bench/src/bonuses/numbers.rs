//! Phone numbers in the notations of people. Each index up to ten million has a number of its own.

/// The region of numbers without a country code.
pub const REGION: &str = "NL";

/// What stands in a file without being a number that can receive SMS.
const INVALID: [&str; 6] =
    ["12", "hello", "06 1234", "+31 20 123 4567", "+999 123456789", "06 12 34 56 78 90 12"];

/// The number of an index, in E.164: one in ten is German, the others are Dutch.
pub fn e164(index: u32) -> String {
    let prefix = if index % 10 == 9 { "+491511" } else { "+3161" };
    format!("{prefix}{index:07}")
}

/// The expression of [`e164`] for an index `i`, in SQL of PostgreSQL or SQLite.
pub fn e164_sql(is_postgres: bool) -> &'static str {
    match is_postgres {
        true => "CASE WHEN i % 10 = 9 THEN '+491511' ELSE '+3161' END || lpad(i::text, 7, '0')",
        false => "CASE WHEN i % 10 = 9 THEN '+491511' ELSE '+3161' END || printf('%07d', i)",
    }
}

/// Whether the number belongs to a user who has verified it.
pub fn is_verified(index: u32, verified_percent: u32) -> bool {
    index % 100 < verified_percent
}

/// The number of an index in one of the notations, drawn at random.
pub fn in_any_notation(index: u32, random: &mut fastrand::Rng) -> String {
    let number = e164(index);
    let (country, national) = match number.strip_prefix("+31") {
        Some(national) => ("31", national),
        None => ("49", &number[3..]),
    };
    let (area, rest) = national.split_at(if country == "31" { 1 } else { 4 });
    let notations = if country == "31" { 9 } else { 5 };
    match random.u32(..notations) {
        // Half of the files' numbers come from programs.
        0 | 1 => number,
        2 => format!("00{country}{national}"),
        3 => format!("+{country} {area} {}", in_pairs(rest)),
        4 => format!("00{country} {area}-{rest}"),
        5 => format!("0{national}"),
        6 => format!("0{area} {rest}"),
        7 => format!("(0{area}) {}", in_pairs(rest)),
        _ => format!("0{area}-{rest}"),
    }
}

/// A line without a usable number, drawn at random.
pub fn invalid(random: &mut fastrand::Rng) -> &'static str {
    INVALID[random.usize(..INVALID.len())]
}

fn in_pairs(digits: &str) -> String {
    let pairs: Vec<&str> = (0..digits.len())
        .step_by(2)
        .map(|start| &digits[start..digits.len().min(start + 2)])
        .collect();
    pairs.join(" ")
}

#[cfg(test)]
mod tests {
    use switchboard::bonuses::file::parse_number;
    use switchboard::platform::phone::Region;

    use super::*;

    #[test]
    fn every_notation_is_read_as_its_number() {
        let region = Region::parse(REGION).expect("a region");
        let mut random = fastrand::Rng::with_seed(1);
        for index in (0..2_000).chain([123_456, 999_999, 1_234_567, 9_999_999]) {
            let text = in_any_notation(index, &mut random);
            let parsed =
                parse_number(&text, Some(&region)).map(|number| number.as_str().to_owned());
            assert_eq!(parsed, Ok(e164(index)), "{text}");
        }
        for text in INVALID {
            assert!(parse_number(text, Some(&region)).is_err(), "{text}");
        }
    }
}
