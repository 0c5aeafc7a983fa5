//! Startup steps that commands share: configuration and log, database, application.

use std::io::IsTerminal;

use super::cli_error::CliError;
use crate::app::{self, App};
use crate::config::Config;
use crate::connections::Connections;
use crate::platform::Platform;

/// Loads the configuration and starts the log.
pub fn load_config_and_start_log() -> Result<Config, CliError> {
    let config = Config::load().map_err(CliError)?;
    let filter = tracing_subscriber::EnvFilter::try_new(&config.log_filter)
        .map_err(|error| CliError(vec![format!("LOG: {error}")]))?;
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        // A closed log must not end the process.
        .log_internal_errors(false)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    if config.is_log_json {
        log.json().init();
    } else {
        log.init();
    }
    // Panics go to the log too, with the id of their request.
    std::panic::set_hook(Box::new(|panic| tracing::error!("{panic}")));
    Ok(config)
}

/// Builds the platform and applies pending migrations.
pub async fn prepare_platform() -> Result<(Config, Platform), CliError> {
    let mut config = load_config_and_start_log()?;
    let platform = app::build_platform(&mut config).map_err(CliError)?;
    app::prepare_database(&platform).await?;
    Ok((config, platform))
}

/// Builds the application, ready to serve.
pub async fn start_app() -> Result<App, CliError> {
    start_with(load_config_and_start_log()?).await
}

/// Does the same, but in production nothing, not even migrations.
pub async fn start_app_in_development() -> Result<App, CliError> {
    let config = load_config_and_start_log()?;
    if config.is_production() {
        let refusal = "ENVIRONMENT is production: this command is for development only";
        return Err(CliError(vec![refusal.to_owned()]));
    }
    start_with(config).await
}

async fn start_with(mut config: Config) -> Result<App, CliError> {
    // Before anything is created. The application reads the providers again.
    Connections::new(&config).map_err(CliError)?;
    let platform = app::build_platform(&mut config).map_err(CliError)?;
    app::prepare_database(&platform).await?;
    Ok(App::new(config, platform).await?)
}
