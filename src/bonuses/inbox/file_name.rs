//! Names of files in the inbox: `<campaign>.<coins>.(txt|csv|ndjson)[.gz]`.

const ENDINGS: [&str; 3] = [".txt", ".csv", ".ndjson"];
const GZIP_ENDING: &str = ".gz";
/// How the names of hidden files and of the lock files of office programs begin.
const HIDDEN: [char; 2] = ['.', '~'];

/// What the name of a file says. Whether a campaign can have such a name and such coins is not checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileName {
    /// The campaign, which may have dots.
    pub campaign: String,
    /// The coins of each number; the largest number if there are more digits.
    pub coins: i32,
}

impl FileName {
    /// Parses the name of a file. None if it is not for the inbox.
    pub fn parse(name: &str) -> Option<Self> {
        if name.starts_with(HIDDEN) {
            return None;
        }
        let unpacked = strip_ending(name, GZIP_ENDING).unwrap_or(name);
        let stem = ENDINGS.iter().find_map(|ending| strip_ending(unpacked, ending))?;
        let (campaign, coins) = stem.rsplit_once('.')?;
        let is_number = !coins.is_empty() && coins.bytes().all(|byte| byte.is_ascii_digit());
        (is_number && !campaign.is_empty()).then(|| Self {
            campaign: campaign.to_owned(),
            coins: coins.parse().unwrap_or(i32::MAX),
        })
    }
}

/// The name without its ending, in upper or lower case.
fn strip_ending<'n>(name: &'n str, ending: &str) -> Option<&'n str> {
    let (stem, end) = name.split_at_checked(name.len().checked_sub(ending.len())?)?;
    end.eq_ignore_ascii_case(ending).then_some(stem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_parts_are_coins_and_ending() {
        for (name, campaign, coins) in [
            ("Spring.5.txt", "Spring", 5),
            ("Spring.5.csv", "Spring", 5),
            ("Spring.5.ndjson.gz", "Spring", 5),
            ("Spring.005.TXT.Gz", "Spring", 5),
            ("v1.2.10.csv", "v1.2", 10),
            ("Été 2026!.1.txt", "Été 2026!", 1),
            ("Spring.0.txt", "Spring", 0),
            ("Spring.99999999999.txt", "Spring", i32::MAX),
        ] {
            let expected = FileName { campaign: campaign.to_owned(), coins };
            assert_eq!(FileName::parse(name), Some(expected), "{name}");
        }
    }

    #[test]
    fn other_names_are_not_for_the_inbox() {
        for name in [
            "",
            ".txt",
            ".gz",
            "é",
            "Spring.txt",
            "Spring.5",
            "Spring.5.gz",
            "Spring.5.xlsx",
            "Spring.five.txt",
            "Spring.-5.txt",
            "Spring.+5.txt",
            "Spring.5.0x.txt",
            "Spring.٥.txt",
            "Spring..txt",
            ".5.txt",
            ".Spring.5.txt",
            "~$Spring.5.csv",
            "Spring.5.txt~",
            "Spring.5.txt.part",
            "Spring.5.txt.gz.gz",
            "Spring.5.txt.2",
            "Spring.5.txt.reason.txt",
        ] {
            assert_eq!(FileName::parse(name), None, "{name}");
        }
    }
}
