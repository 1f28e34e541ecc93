//! What a function needs of a processor when it has just started, and afterwards: with TLS to AWS and to the vendor, as
//! in a deployment.
//!
//! Tables, queue, secret and vendor are those of the local cloud, each behind a server that speaks TLS with a
//! certificate of this program's own authority. The functions trust it by `SSL_CERT_FILE`, together with all the
//! authorities of this system, because reading those is a part of the cost. Only the processor time of the functions'
//! own processes counts, so a busy machine changes little. Lambda gives a function with so much memory a share of one
//! processor: the time that the work takes at least is the processor time divided by that share.

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::json;
use tidemark_aws::clock::SystemClock;
use tidemark_aws::dynamodb::{CheckpointTable, LedgerTable};
use tidemark_engine::ports::{Checkpoints, Clock, Ledger};
use tidemark_engine::stream::{SourceKind, StreamKey};
use tidemark_engine::work::Lane;
use tidemark_sources::registry::parse_streams;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::cost::{WHOLE_PROCESSOR_GB, of_connections, ticks_of_month};
use crate::deployed::{CUSTOMERS, Surroundings, event, figures_beside_emulator, invoked};
use crate::function::Function;
use crate::play::INTERVAL;
use crate::play::bill::figure;
use crate::row::{Row, printed};

/// How often each function is started again.
const STARTS: usize = 7;
/// A vendor's connection that was idle for longer is not used again.
const IDLE: Duration = Duration::from_secs(5);
/// Memory sizes, in MB.
const SIZES: [f64; 3] = [128.0, 256.0, 512.0];
/// Connections that a tick opens minutes after the last one, when all are closed: to the vendor, and to DynamoDB.
const OPENED_A_TICK: f64 = 2.0;
/// Where Linux distributions keep the authorities that they trust.
const AUTHORITIES: [&str; 2] = ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt"];

/// What is measured, in the order in which a function does it.
const FETCHER: [&str; 4] = [
    "fetcher: from its start to a first event, which it refuses",
    "fetcher: its first record, with the certificates and the secret",
    "fetcher: a further record, at once",
    "fetcher: a record after five idle seconds",
];
const POLLER: [&str; 3] = [
    "poller: from its start to a first event, which it refuses",
    "poller: its first tick, with the certificates and the secret",
    "poller: a tick after five idle seconds",
];

pub(crate) async fn measure() -> Result<Vec<Row>, Box<dyn Error>> {
    let figures = figures_beside_emulator("memory-beside").await?;
    let how = "release build, local cloud behind TLS, median of 7 starts; the processor time of its own process, and how \
               long that takes with a size's share of a processor";
    let (pairs, _) = figures.as_chunks();
    let whats = FETCHER.into_iter().chain(POLLER);
    let row = |(what, [cpu, handshakes]): (_, &[f64; 2])| printed(what, at_each_size(*cpu, *handshakes), how);
    let mut rows: Vec<Row> = whats.zip(pairs).map(row).collect();
    let [_, _, [at_once, _], [idle, handshakes], ..] = pairs else {
        return Err("the child printed something else".into());
    };
    let streams = figure(parse_streams(SourceKind::FieldMotion, "{}", "all")?.len());
    rows.push(handshake(((idle - at_once) / handshakes).max(0.0), streams));
    Ok(rows)
}

/// What a connection with TLS takes of a processor, and what the new connections of each tick cost.
fn handshake(cpu_ms: f64, streams: f64) -> Row {
    let of_ticks = |ticks: f64| of_connections(ticks * OPENED_A_TICK, cpu_ms / 1_000.0);
    let month = ticks_of_month(streams, INTERVAL.as_secs_f64());
    printed(
        "TLS: a connection, and the two that each tick opens",
        format!(
            "{cpu_ms:.1} ms of a processor; ${:.2} for a million ticks, ${:.2} a month with FieldMotion alone",
            of_ticks(1e6),
            of_ticks(month)
        ),
        "a record after five idle seconds less a record at once, and two round trips of 50 ms; beside the cost of an idle \
         stack",
    )
}

/// Processor time, and the time that it takes at least with the memory of each size.
fn at_each_size(cpu_ms: f64, handshakes: f64) -> String {
    let seconds = |mb: f64| cpu_ms / 1_000.0 * WHOLE_PROCESSOR_GB * 1_024.0 / mb;
    let sizes: Vec<String> = SIZES.iter().map(|mb| format!("{:.2} s with {mb} MB", seconds(*mb))).collect();
    format!("{cpu_ms:.1} ms, TLS handshakes {handshakes}: {}", sizes.join(", "))
}

/// The child, beside an empty emulator: prints the figures.
pub(crate) async fn child() -> Result<(), Box<dyn Error>> {
    let Surroundings { endpoint, sdk, queue_url, secret_arn, vendor } = Surroundings::new(4 * STARTS).await?;
    let authority = Authority::new()?;
    let services = ["DYNAMODB", "SECRETS_MANAGER", "SQS"].map(|service| format!("AWS_ENDPOINT_URL_{service}"));
    let mut settings = vec![
        ("AWS_ACCESS_KEY_ID".to_owned(), "test".to_owned()),
        ("AWS_SECRET_ACCESS_KEY".to_owned(), "test".to_owned()),
        ("SSL_CERT_FILE".to_owned(), authority.trusted.display().to_string()),
        ("TIDEMARK_BASE_URL".to_owned(), authority.before(vendor.url()).await?),
        ("TIDEMARK_SECRET_ARN".to_owned(), secret_arn),
        ("TIDEMARK_REQUESTS_PER_SECOND".to_owned(), "1000000".to_owned()),
        ("TIDEMARK_QUEUE_URL".to_owned(), queue_url),
    ];
    // A server of its own for each: one connection would serve all of one address.
    for service in services {
        settings.push((service, authority.before(&endpoint).await?));
    }
    let settings: Vec<(&str, &str)> = settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let tick = json!({"stream": CUSTOMERS.as_str()}).to_string();

    let mut ticks = Vec::new();
    for _ in 0..STARTS {
        let poller = Function::start("poller", &settings)?;
        let events = [None, Some(tick.clone()), Some(tick.clone())];
        ticks.push(steps(&authority, poller, events, |step| step == 2).await?);
    }

    let stream = StreamKey { source: SourceKind::FieldMotion, name: CUSTOMERS };
    let chunks = LedgerTable::new(&sdk, "ledger").head(&stream, Lane::Fresh, usize::MAX).await?;
    let chunk = chunks.first().ok_or("nothing is owed")?;
    let checkpoint = CheckpointTable::new(&sdk, "checkpoints").load(&stream).await?.ok_or("there is no checkpoint")?;
    let mut ids = chunk.ids.iter().cloned();
    let mut records = Vec::new();
    for _ in 0..STARTS {
        let fetcher = Function::start("fetcher", &settings)?;
        let mut one = || -> Result<Option<String>, Box<dyn Error>> {
            let id = ids.next().ok_or("too few records are owed")?;
            event(chunk, vec![id], &checkpoint.account_mark).map(Some)
        };
        records.push(steps(&authority, fetcher, [None, one()?, one()?, one()?], |step| step == 3).await?);
    }
    drop(std::fs::remove_file(&authority.trusted));
    for Step { cpu_ms, handshakes } in medians(&records).into_iter().chain(medians(&ticks)) {
        println!("{cpu_ms} {handshakes}");
    }
    Ok(())
}

/// What a step used.
#[derive(Clone, Copy, Default)]
struct Step {
    cpu_ms: f64,
    handshakes: usize,
}

/// The steps of one execution environment: a refused event, or one that is worked on. Before a step that `comes_late`
/// names, connections are left idle.
async fn steps<const COUNT: usize>(
    authority: &Authority,
    mut function: Function,
    events: [Option<String>; COUNT],
    comes_late: impl Fn(usize) -> bool,
) -> Result<[Step; COUNT], Box<dyn Error>> {
    let mut steps = [Step::default(); COUNT];
    let mut before = 0.0;
    for ((step, event), used) in events.into_iter().enumerate().zip(&mut steps) {
        if comes_late(step) {
            SystemClock.sleep(IDLE).await;
        }
        authority.handshakes.store(0, Ordering::Relaxed);
        function = match event {
            Some(event) => invoked(function, vec![event]).await?,
            None => refusing(function).await?,
        };
        let now = function.exact_cpu_ms()?;
        *used = Step { cpu_ms: now - before, handshakes: authority.handshakes.load(Ordering::Relaxed) };
        before = now;
    }
    Ok(steps)
}

async fn refusing(function: Function) -> Result<Function, Box<dyn Error>> {
    let refused = tokio::task::spawn_blocking(move || {
        function.invoke("{}").map_err(|fault| fault.to_string())?;
        Ok::<_, String>(function)
    });
    Ok(refused.await??)
}

/// Of each step the one with the median of the processor time.
fn medians<const COUNT: usize>(starts: &[[Step; COUNT]]) -> [Step; COUNT] {
    std::array::from_fn(|step| {
        let mut used: Vec<Step> = starts.iter().filter_map(|steps| steps.get(step).copied()).collect();
        used.sort_by(|one, other| one.cpu_ms.total_cmp(&other.cpu_ms));
        used.get(used.len() / 2).copied().unwrap_or_default()
    })
}

/// An authority of this program's own, and a server's certificate by it.
struct Authority {
    acceptor: TlsAcceptor,
    /// How many connections were opened.
    handshakes: Arc<AtomicUsize>,
    /// A file with this authority and all that this system trusts.
    trusted: PathBuf,
}

impl Authority {
    fn new() -> Result<Self, Box<dyn Error>> {
        let mut root = CertificateParams::new(Vec::new())?;
        root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = CertifiedIssuer::self_signed(root, KeyPair::generate()?)?;
        let key = KeyPair::generate()?;
        let leaf = CertificateParams::new(vec!["localhost".to_owned()])?.signed_by(&key, &root)?;
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = ServerConfig::builder().with_no_client_auth().with_single_cert(vec![leaf.der().clone()], key)?;
        let known = AUTHORITIES.iter().find_map(|path| std::fs::read_to_string(path).ok());
        let known = known.ok_or("this system trusts no authorities: install ca-certificates")?;
        let trusted = std::env::temp_dir().join(format!("tidemark-bench-{}.pem", std::process::id()));
        std::fs::write(&trusted, format!("{known}\n{}", root.pem()))?;
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config)), handshakes: Arc::default(), trusted })
    }

    /// The address of a server that speaks TLS and passes on everything to `url`, for as long as this program runs.
    async fn before(&self, url: &str) -> Result<String, Box<dyn Error>> {
        let address = url.trim_start_matches("http://").trim_end_matches('/').to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let (acceptor, handshakes) = (self.acceptor.clone(), Arc::clone(&self.handshakes));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, handshakes, address) = (acceptor.clone(), Arc::clone(&handshakes), address.clone());
                tokio::spawn(async move {
                    // A connection that breaks is a failed call of the function, which then ends the measurement.
                    if let Ok(mut outer) = acceptor.accept(stream).await
                        && let Ok(mut inner) = TcpStream::connect(&address).await
                    {
                        handshakes.fetch_add(1, Ordering::Relaxed);
                        tokio::io::copy_bidirectional(&mut outer, &mut inner).await.ok();
                    }
                });
            }
        });
        Ok(format!("https://localhost:{port}"))
    }
}
