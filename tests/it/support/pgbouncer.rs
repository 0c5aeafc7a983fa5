//! PgBouncer, a connection pooler, between a test and its database. With `REQUIRE_PGBOUNCER` set, tests fail without it.

use std::process::{Child, Command, Stdio};

use sea_orm::sqlx::postgres::PgConnectOptions;
use tempfile::TempDir;

use super::TestDatabase;

/// Smaller than the number of clients, so that clients share server connections.
const POOL_SIZE: u32 = 6;

/// The running process, killed on drop.
pub struct PgBouncer {
    /// The value of `DATABASE_URL`.
    pub url: String,
    child: Child,
    _folder: TempDir,
}

impl PgBouncer {
    /// Starts it in a pool mode ("session", "transaction"). `None` when it is not installed.
    pub async fn start(database: &TestDatabase, mode: &str) -> Option<Self> {
        let program = ["/usr/sbin/pgbouncer", "/usr/local/bin/pgbouncer", "/usr/bin/pgbouncer"];
        let Some(program) = program.iter().find(|path| std::path::Path::new(path).exists()) else {
            assert!(std::env::var_os("REQUIRE_PGBOUNCER").is_none(), "PgBouncer is required");
            return None;
        };
        let options: PgConnectOptions = database.url().parse().expect("a URL");
        let host = match options.get_socket() {
            Some(folder) => folder.display().to_string(),
            None => options.get_host().to_owned(),
        };
        let (server_port, user) = (options.get_port(), options.get_username());
        let folder = tempfile::tempdir().expect("a folder");
        let free = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let port = free.local_addr().expect("an address").port();
        drop(free);
        let (settings, users) = (folder.path().join("settings"), folder.path().join("users"));
        let text = format!(
            "[databases]\n* = host={host} port={server_port}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {port}\nunix_socket_dir =\nauth_type = trust\nauth_file = {}\n\
             pool_mode = {mode}\ndefault_pool_size = {POOL_SIZE}\n",
            users.display()
        );
        std::fs::write(&users, format!("\"{user}\" \"\"\n")).expect("written");
        std::fs::write(&settings, text).expect("written");
        // PgBouncer refuses to run as root.
        let script = r#"if [ "$(id -u)" = 0 ]; then
                user=$(id -u postgres >/dev/null 2>&1 && echo postgres || echo nobody)
                chown -R "$user" "$3"
                exec setpriv --reuid="$user" --regid="$(id -g "$user")" --clear-groups "$1" "$2"
            fi
            exec "$1" "$2""#;
        let child = Command::new("sh")
            .args(["-c", script, "sh", program])
            .arg(&settings)
            .arg(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("sh starts");
        let name = options.get_database().expect("a database");
        let url = format!("postgres://{user}@127.0.0.1:{port}/{name}?sslmode=disable");
        let mut pgbouncer = Self { url, child, _folder: folder };
        while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            let exit_status = pgbouncer.child.try_wait().expect("a child process");
            assert!(exit_status.is_none(), "PgBouncer ended");
            tokio::task::yield_now().await;
        }
        Some(pgbouncer)
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
