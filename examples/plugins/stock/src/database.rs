//! The database: one connection a request, and writes that are fenced.

use std::{env, error::Error as _, net::TcpStream as Socket, time::Duration};

use tokio::{net::TcpStream, runtime::Builder, time::timeout};
use tokio_postgres::{Client, Config, NoTls, Transaction, config::Host, error::SqlState};

/// How long the database may take, with all that it is asked for.
const PATIENCE: Duration = Duration::from_secs(10);

/// How many pieces there are, if the name is known.
pub type Outcome = Result<Option<i64>, Failure>;

/// Why there is no answer.
pub enum Failure {
    /// It was asked for nothing that can be done.
    Usage,
    /// More were to be taken out than there are.
    TooFew,
    /// A newer term has written; its token.
    Stale(i64),
    /// Anything else.
    Unavailable(String),
}

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Self {
        if error.code() == Some(&SqlState::CHECK_VIOLATION) {
            return Self::TooFew;
        }
        // The first line alone says little: what the database has said is its cause.
        let cause = error.source().map_or(String::new(), |cause| format!(": {cause}"));
        let missing = error.code() == Some(&SqlState::UNDEFINED_TABLE);
        let mend = if missing { ": apply schema.sql" } else { "" };
        Self::Unavailable(format!("{error}{cause}{mend}"))
    }
}

/// Waits for what is done with the database. tokio has a runtime of its own.
pub fn run(work: impl Future<Output = Outcome>) -> Outcome {
    let unavailable = |error: std::io::Error| Failure::Unavailable(error.to_string());
    let runtime = Builder::new_current_thread().enable_all().build().map_err(unavailable)?;
    let late = |_| Err(Failure::Unavailable("the database takes too long".to_owned()));
    runtime.block_on(async { timeout(PATIENCE, work).await.unwrap_or_else(late) })
}

/// Tells how many pieces there are.
pub async fn read(name: &str) -> Outcome {
    connected(async |client| {
        let row = client.query_opt("SELECT pieces FROM stock WHERE name = $1", &[&name]).await?;
        Ok(row.map(|row| row.get(0)))
    })
    .await
}

/// Puts pieces in, or takes them out.
pub async fn change(name: &str, pieces: i64, token: u64) -> Outcome {
    connected(async |client| {
        let transaction = client.transaction().await?;
        pass(&transaction, token).await?;
        // Two steps: in one, -3 would be refused before it is seen that there are 20.
        let known = "INSERT INTO stock VALUES ($1, 0) ON CONFLICT DO NOTHING";
        transaction.execute(known, &[&name]).await?;
        let change = "UPDATE stock SET pieces = pieces + $2 WHERE name = $1 RETURNING pieces";
        let row = transaction.query_one(change, &[&name, &pieces]).await?;
        transaction.commit().await?;
        Ok(Some(row.get(0)))
    })
    .await
}

/// Lets a transaction go on whose token is the newest. It holds the row of the fence until it
/// ends, so no older one can come in between, and one that waits for the row sees the newer token.
async fn pass(transaction: &Transaction<'_>, token: u64) -> Result<(), Failure> {
    let token = i64::try_from(token).unwrap_or(i64::MAX);
    let pass = "UPDATE fence SET fencing_token = $1 WHERE name = 'stock' AND fencing_token <= $1";
    if transaction.execute(pass, &[&token]).await? == 1 {
        return Ok(());
    }
    let newest = "SELECT fencing_token FROM fence WHERE name = 'stock'";
    match transaction.query_opt(newest, &[]).await? {
        Some(row) => Err(Failure::Stale(row.get(0))),
        None => Err(Failure::Unavailable("the fence has no row: apply schema.sql".to_owned())),
    }
}

/// Does this with a connection to the database that the settings name.
async fn connected(work: impl AsyncFnOnce(&mut Client) -> Outcome) -> Outcome {
    let missing = |_| Failure::Unavailable("set `secrets.DATABASE_URL` for this plugin".to_owned());
    let config: Config = env::var("DATABASE_URL").map_err(missing)?.parse()?;
    let (mut client, connection) = config.connect_raw(open(&config)?, NoTls).await?;
    // It carries what the client asks for, until there is no client any more.
    let connection = tokio::spawn(connection);
    let outcome = work(&mut client).await;
    drop(client);
    // Its goodbye; what was to be known is known.
    let _ = connection.await;
    outcome
}

fn open(config: &Config) -> Result<TcpStream, Failure> {
    let [Host::Tcp(host), ..] = config.get_hosts() else {
        return Err(Failure::Unavailable("DATABASE_URL names no host".to_owned()));
    };
    let port = config.get_ports().first().copied().unwrap_or(5432);
    let unreachable = |error| Failure::Unavailable(format!("cannot reach {host}:{port}: {error}"));
    // std looks names up, for which tokio would need a thread.
    let socket = Socket::connect((host.as_str(), port)).map_err(unreachable)?;
    socket.set_nonblocking(true).map_err(unreachable)?;
    TcpStream::from_std(socket).map_err(unreachable)
}
