//! Plans in the log of PostgreSQL, as `auto_explain` writes them in JSON.

use serde_json::Value;

/// The plan of a statement that was run.
#[derive(Debug)]
pub struct Plan {
    /// The statement.
    pub query: String,
    /// The scans of tables in it.
    pub scans: Vec<Scan>,
}

/// A part of a plan that reads a table.
#[derive(Debug, PartialEq, Eq)]
pub struct Scan {
    /// The table.
    pub table: String,
    /// Whether it reads all of it.
    pub is_sequential: bool,
    /// How many rows it read that did not match.
    pub rows_in_vain: i64,
}

/// The plans of Switchboard's statements in a log.
pub fn read_plans(log: &str) -> Vec<Plan> {
    let mut plans = Vec::new();
    let mut lines = log.lines().peekable();
    while let Some(line) = lines.next() {
        if !(line.starts_with("switchboard|LOG:") && line.ends_with("plan:")) {
            continue;
        }
        let mut json = String::new();
        while let Some(line) = lines.next_if(|line| line.starts_with('\t')) {
            json.push_str(line);
        }
        let logged: Value = serde_json::from_str(&json).expect("a plan in JSON");
        let mut scans = Vec::new();
        collect_scans(&logged["Plan"], &mut scans);
        let query = logged["Query Text"].as_str().unwrap_or_default();
        let words: Vec<&str> = query.split_whitespace().collect();
        plans.push(Plan { query: words.join(" "), scans });
    }
    plans
}

fn collect_scans(node: &Value, scans: &mut Vec<Scan>) {
    if let Some(table) = node["Relation Name"].as_str() {
        let removed = |name: &str| node[name].as_i64().unwrap_or_default();
        let loops = node["Actual Loops"].as_i64().unwrap_or(1);
        scans.push(Scan {
            table: table.to_owned(),
            is_sequential: node["Node Type"] == "Seq Scan",
            rows_in_vain: loops
                * (removed("Rows Removed by Filter") + removed("Rows Removed by Index Recheck")),
        });
    }
    for child in node["Plans"].as_array().into_iter().flatten() {
        collect_scans(child, scans);
    }
}

#[test]
fn scans_are_found_in_a_log() {
    let log = "other|LOG:  duration: 1 ms  plan:\n\t{\"Plan\": {}}\nswitchboard|LOG:  duration: 0.1 ms  plan:\n\t{\n\t  \
               \"Query Text\": \"SELECT 1\\n FROM users\",\n\t  \"Plan\": {\"Node Type\": \"Limit\", \"Plans\": [{\"Node \
               Type\": \"Seq Scan\", \"Relation Name\": \"users\", \"Actual Loops\": 2, \"Rows Removed by Filter\": \
               7}]}\n\t}\nswitchboard|LOG:  something else\n";
    let plans = read_plans(log);
    assert_eq!(plans.len(), 1);
    assert_eq!(plans[0].query, "SELECT 1 FROM users");
    let scan = Scan { table: "users".to_owned(), is_sequential: true, rows_in_vain: 14 };
    assert_eq!(plans[0].scans, [scan]);
}
