//! The vendor's port: connections, and the end of them.

use std::{io, net::Ipv4Addr, ops::Deref, sync::Arc};

use serde_json::Value;
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use super::{
    control,
    handle::{Fake, Mode},
    vendor::Vendor,
    wire::Connection,
};

/// Where a fake vendor listens, always on the loopback address.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ports {
    /// The vendor's port; 0 takes a free one.
    pub vendor: u16,
    /// The control port; 0 takes a free one, `None` goes without.
    pub control: Option<u16>,
}

/// A fake vendor that listens until this is dropped, or it is shut down.
pub struct Running<V> {
    fake: Fake,
    vendor: Arc<V>,
    url: String,
    control_url: Option<String>,
}

impl<V: Vendor> Running<V> {
    /// Listens; must be called within a Tokio runtime.
    ///
    /// # Errors
    /// When a port cannot be taken.
    pub async fn listen(vendor: V, seed: u64, ports: Ports) -> io::Result<Self> {
        let vendor = Arc::new(vendor);
        let spoken: Arc<dyn Vendor> = Arc::<V>::clone(&vendor);
        let fake = Fake::new(spoken, seed);
        let (listener, url) = bind(ports.vendor).await?;
        let mut control_url = None;
        if let Some(port) = ports.control {
            let (listener, url) = bind(port).await?;
            tokio::spawn(control::serve(listener, fake.clone()));
            control_url = Some(url);
        }
        tokio::spawn(serve(listener, fake.clone()));
        Ok(Self { fake, vendor, url, control_url })
    }
}

impl<V> Running<V> {
    /// The vendor's address, without a slash at the end.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The control API's address, without a slash at the end.
    pub fn control_url(&self) -> Option<&str> {
        self.control_url.as_deref()
    }

    /// The vendor's own side, with its typed settings.
    pub fn vendor(&self) -> &V {
        &self.vendor
    }
}

impl<V> Deref for Running<V> {
    type Target = Fake;

    fn deref(&self) -> &Fake {
        &self.fake
    }
}

impl<V> Drop for Running<V> {
    fn drop(&mut self) {
        self.fake.shut_down();
    }
}

/// A fake vendor of any kind, with everything at its default, that listens until this is dropped.
pub struct Started {
    running: Box<dyn Deref<Target = Fake> + Send + Sync>,
    url: String,
    control_url: Option<String>,
    secret: Value,
}

impl Started {
    /// One that accepts this credential.
    pub(crate) fn new<V: Vendor>(vendor: Running<V>, secret: Value) -> Self {
        let (url, control_url) = (vendor.url().to_owned(), vendor.control_url().map(str::to_owned));
        Self { running: Box::new(vendor), url, control_url, secret }
    }

    /// The vendor's address, without a slash at the end.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The control API's address, without a slash at the end.
    pub fn control_url(&self) -> Option<&str> {
        self.control_url.as_deref()
    }

    /// The credential that it accepts, in the shape of the source's secret.
    pub fn secret(&self) -> &Value {
        &self.secret
    }
}

impl Deref for Started {
    type Target = Fake;

    fn deref(&self) -> &Fake {
        &self.running
    }
}

async fn bind(port: u16) -> io::Result<(TcpListener, String)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    let url = format!("http://{}", listener.local_addr()?);
    Ok((listener, url))
}

async fn serve(listener: TcpListener, fake: Fake) {
    // Dropping the set ends every connection.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = fake.stopped() => return,
            Some(_ended) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) if fake.mode() == Mode::Up => {
                    connections.spawn(connection(stream, fake.clone()));
                }
                // Down: the connection ends here. An error concerns one connection only.
                Ok(_) | Err(_) => tokio::task::yield_now().await,
            }
        }
    }
}

async fn connection(stream: TcpStream, fake: Fake) {
    tokio::select! {
        () = fake.down() => {}
        // A client that goes away, or does not speak HTTP, is not worth a report.
        _ended = converse(stream, &fake) => {}
    }
}

async fn converse(stream: TcpStream, fake: &Fake) -> io::Result<()> {
    let mut connection = Connection::new(stream)?;
    while let Some(request) = connection.request().await? {
        let arrival = fake.arrive(&request);
        let reply = tokio::select! {
            reply = fake.reply(arrival, &request) => reply,
            () = connection.gone() => return Ok(()),
        };
        let close = request.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
        if !connection.deliver(&reply, fake.date_header().as_deref(), close).await? {
            break;
        }
    }
    Ok(())
}
