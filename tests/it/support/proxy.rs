//! A TCP proxy between a test and PostgreSQL. It can be frozen: then connections stay open and no byte gets through.

use std::sync::Arc;

use sea_orm::sqlx::postgres::PgConnectOptions;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::watch;

use super::TestDatabase;

/// A proxy on a loopback port.
pub struct FreezableProxy {
    /// The value of `DATABASE_URL`.
    pub url: String,
    /// Its port.
    pub port: u16,
    gate: Arc<Gate>,
}

struct Gate {
    is_open: watch::Sender<bool>,
    /// The gate closes after these bytes were forwarded to the server.
    closes_after: parking_lot::Mutex<Option<&'static [u8]>>,
}

impl FreezableProxy {
    /// Starts a proxy to the database of a test.
    pub async fn start(database: &TestDatabase) -> Self {
        let options: PgConnectOptions = database.url().parse().expect("a URL");
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let gate = Gate { is_open: watch::Sender::new(true), closes_after: None.into() };
        let gate = Arc::new(gate);
        let database = options.get_database().expect("a database").to_owned();
        let user = options.get_username().to_owned();
        tokio::spawn(accept(listener, options, gate.clone()));
        let url = format!("postgres://{user}@127.0.0.1:{port}/{database}?sslmode=disable");
        Self { url, port, gate }
    }

    /// Stops forwarding.
    pub fn freeze(&self) {
        self.gate.is_open.send_replace(false);
    }

    /// Stops forwarding after these bytes were sent to the server.
    pub fn freeze_after(&self, sent: &'static [u8]) {
        *self.gate.closes_after.lock() = Some(sent);
    }

    /// Forwards again, first the bytes received meanwhile.
    pub fn thaw(&self) {
        self.gate.is_open.send_replace(true);
    }
}

async fn accept(listener: TcpListener, options: PgConnectOptions, gate: Arc<Gate>) {
    while let Ok((client, _)) = listener.accept().await {
        let (options, gate) = (options.clone(), gate.clone());
        tokio::spawn(async move {
            let (from_client, to_client) = client.into_split();
            match options.get_socket() {
                Some(folder) => {
                    let path = folder.join(format!(".s.PGSQL.{}", options.get_port()));
                    let server = UnixStream::connect(path).await.expect("the server");
                    let (from_server, to_server) = server.into_split();
                    copy_both_ways(&gate, (from_client, to_server), (from_server, to_client)).await;
                }
                None => {
                    let address = (options.get_host(), options.get_port());
                    let server = TcpStream::connect(address).await.expect("the server");
                    let (from_server, to_server) = server.into_split();
                    copy_both_ways(&gate, (from_client, to_server), (from_server, to_client)).await;
                }
            }
        });
    }
}

async fn copy_both_ways(
    gate: &Gate,
    to_server: (impl AsyncRead + Unpin, impl AsyncWrite + Unpin),
    to_client: (impl AsyncRead + Unpin, impl AsyncWrite + Unpin),
) {
    tokio::select! {
        () = forward(gate, to_server, true) => {}
        () = forward(gate, to_client, false) => {}
    }
}

async fn forward(
    gate: &Gate,
    (mut from, mut to): (impl AsyncRead + Unpin, impl AsyncWrite + Unpin),
    is_to_server: bool,
) {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let Ok(count @ 1..) = from.read(&mut buffer).await else { return };
        let piece = &buffer[..count];
        if gate.is_open.subscribe().wait_for(|is_open| *is_open).await.is_err() {
            return;
        }
        if is_to_server {
            let mut closes_after = gate.closes_after.lock();
            if closes_after
                .is_some_and(|sent| piece.windows(sent.len()).any(|window| window == sent))
            {
                *closes_after = None;
                gate.is_open.send_replace(false);
            }
        }
        if to.write_all(piece).await.is_err() {
            return;
        }
    }
}
