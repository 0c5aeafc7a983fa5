//! A new bundle of the console is a new binary.

fn main() {
    // A folder that is not there would count as changed each time.
    let bundle = "console/dist";
    let watched = if std::path::Path::new(bundle).exists() { bundle } else { "console" };
    println!("cargo::rerun-if-changed={watched}");
}
