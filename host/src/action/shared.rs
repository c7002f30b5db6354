//! Instances of WASI 0.3, which answer several requests at once.
//!
//! Each instance has a task, which drives all of its requests and ends with the
//! action's others; each request has a [`Ticket`]. A guest cannot be told that
//! one of its clients has gone: an instance whose client has gone takes no more
//! requests, and is cut off as soon as no other client waits for it.

use std::{
    future::{pending, poll_fn},
    pin::pin,
    sync::Arc,
    task::Poll,
    thread::available_parallelism,
    time::Duration,
};

use ::http::{Request, header, uri::Scheme};
use futures::{StreamExt, stream::FuturesUnordered};
use parking_lot::{Mutex, MutexGuard};
use tokio::{sync::mpsc, time::sleep};
use tokio_util::sync::CancellationToken;
use wasmtime::component::Accessor;
use wasmtime_wasi_http::{
    FieldMap, WasiHttpView,
    p3::{
        self,
        bindings::{Service, ServicePre},
    },
};

use super::{
    asked::Asked,
    fate::Fate,
    limits::AT_ONCE,
    opening::Openings,
    refusal::{TookTooLong, judge},
    request::{Head, Turn, is_secure},
    running::Run,
    upload::Upload,
    worker::{Ticket, Worker},
};
use soloist_config::{Instances, Reuse};
use soloist_guests::{
    capability::GuestState,
    plugin::{Guest, Slot},
};
use soloist_trace::TraceContext;

/// How often an instance is looked at, unless it may be idle for a shorter time.
const LOOK: Duration = Duration::from_secs(10);
const LOOK_LEAST: Duration = Duration::from_millis(100);
/// An instance that is not used again.
const ONCE: Reuse = Reuse { max: 1, idle: LOOK };

/// A request, and where the head of its response goes.
type Call = (Request<Upload>, Head);

/// The instances of one action under one term.
pub(super) struct Shared {
    run: Arc<Run>,
    entry: ServicePre<GuestState>,
    reuse: Reuse,
    /// Up to so many instances, the next one is made when all are busy: one for each
    /// processor. From then on they share what comes.
    spread: usize,
    /// Those that may take requests.
    open: Mutex<Vec<Member>>,
    /// No request comes any more.
    closing: CancellationToken,
}

#[derive(Clone)]
struct Member {
    worker: Arc<Worker>,
    calls: mpsc::UnboundedSender<Call>,
}

/// What a request is answered by.
pub(super) struct Place {
    shared: Arc<Shared>,
    found: Found,
}

/// An instance that is there, or the right to make one.
enum Found {
    Member(Member, Ticket),
    Slot(Slot),
}

impl Shared {
    /// No instances yet.
    pub(super) fn new(run: Arc<Run>, entry: ServicePre<GuestState>) -> Self {
        let reuse = match run.action.config.instances {
            Instances::Fresh => ONCE,
            Instances::Reuse(reuse) => reuse,
        };
        let spread = available_parallelism().map_or(1, usize::from);
        let closing = CancellationToken::new();
        Self { run, entry, reuse, spread, open: Mutex::default(), closing }
    }

    /// Finds an instance, or waits for a slot of the engine.
    pub(super) async fn place(self: &Arc<Self>) -> Place {
        let found = match self.least_busy() {
            Some(found) => found,
            None => Found::Slot(self.run.action.slot().await),
        };
        Place { shared: self.clone(), found }
    }

    fn least_busy(&self) -> Option<Found> {
        let mut open = self.open();
        open.retain(|member| member.worker.busy().is_some());
        let busy = |member: &Member| member.worker.busy().unwrap_or(usize::MAX);
        let least = open.iter().min_by_key(|member| busy(member))?;
        let most = if open.len() < self.spread { 1 } else { AT_ONCE };
        if busy(least) >= most {
            return None;
        }
        let ticket = least.worker.admit()?;
        Some(Found::Member(least.clone(), ticket))
    }

    /// Starts the task of one more instance.
    fn start(self: &Arc<Self>, slot: Slot) -> (Member, Ticket) {
        let (worker, ticket) = Worker::new(self.reuse.max);
        let (calls, queue) = mpsc::unbounded_channel();
        self.run.work.spawn(self.clone().work(worker.clone(), slot, queue));
        let member = Member { worker, calls };
        if member.worker.busy().is_some() {
            self.open().push(member.clone());
        }
        (member, ticket)
    }

    /// Instantiates once, for nothing.
    pub(super) async fn rehearse(&self) -> wasmtime::Result<()> {
        let mut guest = self.guest(self.run.action.slot().await).await?;
        let instantiated = self.entry.instantiate_async(guest.store());
        self.run.action.run(instantiated).await.map(drop)
    }

    /// Instances that have no request end, and the others after their last one.
    pub(super) fn close(&self) {
        self.closing.cancel();
    }

    async fn guest(&self, slot: Slot) -> wasmtime::Result<Guest> {
        let state = GuestState::new(&self.run.access).await?;
        Ok(Guest::new(self.entry.engine(), slot, state))
    }

    /// Not to be held across an await.
    fn open(&self) -> MutexGuard<'_, Vec<Member>> {
        self.open.lock()
    }

    /// The task of one instance.
    async fn work(
        self: Arc<Self>,
        worker: Arc<Worker>,
        slot: Slot,
        queue: mpsc::UnboundedReceiver<Call>,
    ) {
        let _ended = worker.ended.clone().drop_guard();
        // Boxed, or each future around it would carry it along, some of them twice.
        let openings = Openings::default();
        let driven = Box::pin(self.drive(&worker, slot, queue, &openings));
        let ended = tokio::select! {
            biased;
            () = worker.cut.cancelled() => return,
            ended = openings.beside(self.run.action.run(driven)) => ended,
            error = self.watch(&worker) => Err(error),
        };
        worker.close();
        if let Err(error) = ended {
            // Nobody else sets it.
            let _ = worker.reason.set(judge(&self.run, &worker.asked(), &error));
        }
    }

    /// Makes the instance, and lets it answer until it is over.
    async fn drive(
        &self,
        worker: &Worker,
        slot: Slot,
        mut queue: mpsc::UnboundedReceiver<Call>,
        openings: &Openings,
    ) -> wasmtime::Result<()> {
        let mut guest = self.guest(slot).await?;
        // After the guest, so that it is told before the store is dropped.
        let broken = worker.fate.broken_unless_told();
        let service = &self.entry.instantiate_async(guest.store()).await?;
        let handle = *service.wasi_http_handler().func_handle().func();
        let answer_all = async |accessor: &Accessor<GuestState>| {
            let mut begun = FuturesUnordered::new();
            let mut over = pin!(worker.over.cancelled());
            poll_fn(|cx| {
                loop {
                    if let Poll::Ready(Some(answered)) = begun.poll_next_unpin(cx) {
                        answered?;
                    } else if accessor.poll_ready_for_concurrent_call(handle, cx).is_ready()
                        && let Poll::Ready(Some(call)) = queue.poll_recv(cx)
                    {
                        worker.rests(false);
                        begun.push(answer(accessor, service, openings, call));
                    } else {
                        let rests = accessor.poll_no_interesting_tasks(cx).is_ready();
                        worker.rests(rests);
                        if over.as_mut().poll(cx).is_ready() && rests {
                            return Poll::Ready(wasmtime::error::Ok(()));
                        }
                        return Poll::Pending;
                    }
                }
            })
            .await
        };
        let answered = async { guest.store().run_concurrent(answer_all).await? };
        openings.run(answered).await?;
        broken.tell_finished();
        Ok(())
    }

    /// Sees to it that the instance ends in time. It is looked at from outside: a
    /// guest that computes lets nothing else of its instance run.
    async fn watch(&self, worker: &Worker) -> wasmtime::Error {
        let limit = self.run.action.config().limits.request_timeout;
        let pause = self.reuse.idle.min(limit).clamp(LOOK_LEAST, LOOK);
        let look = async {
            loop {
                sleep(pause).await;
                if worker.look(self.reuse.idle, limit) {
                    return TookTooLong.into();
                }
            }
        };
        let closing = async {
            self.closing.cancelled().await;
            worker.close();
            pending().await
        };
        tokio::select! {
            error = look => error,
            error = closing => error,
        }
    }
}

impl Place {
    /// Hands a request over.
    pub(super) fn begin(
        self,
        turn: Turn,
        mut request: Request<Upload>,
        head: Head,
    ) -> (Ticket, Fate) {
        // Of several at once, nobody can tell for which of them the guest does something.
        if self.shared.reuse.max > 1 {
            request.extensions_mut().remove::<TraceContext>();
        }
        let (member, ticket) = match self.found {
            Found::Member(member, ticket) => (member, ticket),
            Found::Slot(slot) => self.shared.start(slot),
        };
        ticket.asks(Asked::of(&request));
        // An instance that has just ended lets go of the head, which tells of it.
        let _ = member.calls.send((request, head));
        (ticket.with(turn), member.worker.fate.clone())
    }
}

/// Hands one request to the guest, and its answer on. An error is a trap, and the end of
/// the instance.
async fn answer(
    accessor: &Accessor<GuestState>,
    service: &Service,
    openings: &Openings,
    (request, head): Call,
) -> wasmtime::Result<()> {
    if head.is_closed() {
        return Ok(());
    }
    let (request, sent) = accessor.with(|mut store| incoming(store.data_mut(), request));
    match service.handle(accessor, request).await? {
        Ok(response) => {
            let response = accessor.with(|store| response.into_http(store, sent))?;
            openings.add(response, head);
        }
        // The client may have gone.
        Err(code) => drop(head.send(Err(code.to_string()))),
    }
    Ok(())
}

/// The request as the guest sees it, and whether its body could be read.
fn incoming(
    state: &mut GuestState,
    mut request: Request<Upload>,
) -> (p3::Request, impl Future<Output = Result<(), wasmtime_wasi_http::Error>> + Send + use<>) {
    let scheme = if is_secure(&request) { Scheme::HTTPS } else { Scheme::HTTP };
    state.follow(request.extensions_mut().remove());
    let (parts, body) = request.into_parts();
    let uri = parts.uri.into_parts();
    let named = || parts.headers.get(header::HOST)?.to_str().ok()?.parse().ok();
    let authority = uri.authority.or_else(named);
    let headers = FieldMap::new_immutable(state.http().hooks, parts.headers);
    let path = uri.path_and_query;
    p3::Request::new(parts.method, Some(scheme), authority, path, headers, None, body)
}
