#include "gateway/server.hpp"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <future>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "base/log.hpp"
#include "gateway/methods.hpp"
#include "gateway/socket_thread.hpp"
#include "net/listener.hpp"
#include "pickup/pickup_service.hpp"
#include "rpc/wire.hpp"

namespace mpr {

namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kServiceTick{100};
constexpr milliseconds kBackgroundWork{1'000};  // how long join() waits for it
constexpr milliseconds kBackgroundPoll{5};
// A flood of connections has to leave the sockets of this thread their turn.
constexpr int kAcceptsPerTurn = 64;
// Connections over the limit that are being told so.
constexpr std::size_t kRefusedAtOnce = 256;
// SocketId has eight bits for the thread.
constexpr unsigned kMaxIoThreads = 256;

EventMask mask_of(std::string_view event) {
  const auto names = rpc::event_names();
  const auto found = std::find(names.begin(), names.end(), event);
  return EventMask{1} << (found - names.begin());
}

SharedText shared(std::string text) { return std::make_shared<const std::string>(std::move(text)); }

}  // namespace

// Accepts on the first io thread, hands sockets round, and starts and stops the others.
class Server::State final : public IoThread::Source {
 public:
  State(Options options, Metrics& metrics) : options_(std::move(options)), metrics_(metrics) {}

  void bind_service(PickupService& service, Methods& methods);
  Result<std::uint16_t> start();
  void drain();
  void join();
  milliseconds longest_silence() const;
  SocketThread* thread_of(SocketId id) const;
  const std::vector<std::unique_ptr<SocketThread>>& threads() const { return threads_; }

  void on_ready(IoThread::Ready) override;

 private:
  void hand_over(int fd);
  void stop_accepting();
  template <class Function>
  void on_each_thread(Function function);

  const Options options_;
  Metrics& metrics_;
  PickupService* service_ = nullptr;
  OpenSockets open_sockets_;
  std::vector<std::unique_ptr<SocketThread>> threads_;
  std::optional<Listener> listener_;  // the first io thread's while it runs
  std::size_t next_thread_ = 0;
  bool running_ = false;
};

void Server::State::bind_service(PickupService& service, Methods& methods) {
  service_ = &service;
  const unsigned wanted = options_.io_threads == 0 ? default_io_threads() : options_.io_threads;
  const unsigned count = std::min(wanted, kMaxIoThreads);
  for (unsigned i = 0; i < count; ++i) {
    threads_.push_back(std::make_unique<SocketThread>(static_cast<std::uint8_t>(i), options_,
                                                      metrics_, open_sockets_, service, methods));
  }
  threads_.front()->io().every(kServiceTick, [&service] { service.tick(); });
}

Result<std::uint16_t> Server::State::start() {
  if (threads_.empty()) return fail(Errc::internal, "the server was started without a service");
  Result<Listener> listener = Listener::open(options_.bind, options_.port);
  if (!listener) return std::unexpected(listener.error());
  listener_.emplace(std::move(*listener));
  const std::uint16_t port = listener_->port();
  threads_.front()->io().watch(listener_->fd(), *this, IoThread::Interest::read);
  for (const auto& thread : threads_) thread->io().start();
  running_ = true;
  return port;
}

void Server::State::on_ready(IoThread::Ready) {
  for (int i = 0; i < kAcceptsPerTurn; ++i) {
    const int fd = listener_->accept();
    if (fd < 0) return;
    hand_over(fd);
  }
}

// What is over the limit is still answered, by a session that ends within seconds; a flood is not.
void Server::State::hand_over(int fd) {
  const std::size_t open = open_sockets_.count();
  if (open >= options_.max_connections + kRefusedAtOnce) {
    metrics_.sockets_refused.add();
    ::close(fd);
    return;
  }
  const bool fits = open - open_sockets_.refused() < options_.max_connections;
  const auto admission = fits ? SocketThread::Admission::serve : SocketThread::Admission::refuse;
  open_sockets_.add();
  if (!fits) open_sockets_.add_refused();
  SocketThread& thread = *threads_[next_thread_++ % threads_.size()];
  if (thread.io().is_current()) {
    thread.adopt(fd, admission);
  } else {
    thread.io().run([&thread, fd, admission] { thread.adopt(fd, admission); });
  }
}

// Runs the function on each io thread and waits until all have.
template <class Function>
void Server::State::on_each_thread(Function function) {
  std::vector<std::future<void>> done;
  for (const auto& thread : threads_) {
    auto task = std::packaged_task<void()>([&function, &thread = *thread] { function(thread); });
    done.push_back(task.get_future());
    thread->io().run(std::move(task));
  }
  for (std::future<void>& one : done) one.get();
}

void Server::State::stop_accepting() {
  std::promise<void> stopped;
  threads_.front()->io().run([&] {
    threads_.front()->io().unwatch(listener_->fd(), *this);
    listener_.reset();
    stopped.set_value();
  });
  stopped.get_future().get();
}

void Server::State::drain() {
  if (!running_ || !listener_) return;
  const auto begin = steady_clock::now();
  stop_accepting();
  const SharedText event = shared(
      rpc::server_draining_event(static_cast<std::uint64_t>(options_.drain_timeout.count())));
  on_each_thread([&event](SocketThread& thread) {
    thread.start_draining(event, mask_of(rpc::kServerDraining));
  });
  // The last fifth is for the close frames of those that have to leave calls behind.
  if (open_sockets_.wait_until_none(begin + options_.drain_timeout * 4 / 5)) return;
  log::warn("sockets with calls in hand are closed", {{"sockets", open_sockets_.count()}});
  on_each_thread([](SocketThread& thread) { thread.close_all(); });
  if (open_sockets_.wait_until_none(begin + options_.drain_timeout)) return;
  log::warn("sockets that do not close are cut", {{"sockets", open_sockets_.count()}});
  on_each_thread([](SocketThread& thread) { thread.cut_all(); });
}

void Server::State::join() {
  if (!running_) return;
  running_ = false;
  const auto idle = [this] {
    std::atomic<bool> calls = false;
    on_each_thread([&calls](SocketThread& thread) {
      if (thread.has_calls()) calls = true;
    });
    return !calls && !service_->busy();
  };
  const auto limit = steady_clock::now() + kBackgroundWork;
  while (!idle() && steady_clock::now() < limit) std::this_thread::sleep_for(kBackgroundPoll);
  on_each_thread([](SocketThread& thread) { thread.cut_all(); });
  for (const auto& thread : threads_) thread->io().stop();
  for (const auto& thread : threads_) thread->io().join();
  listener_.reset();
}

milliseconds Server::State::longest_silence() const {
  const auto now = steady_clock::now();
  steady_clock::duration longest{};
  for (const auto& thread : threads_) longest = std::max(longest, now - thread->io().last_turn());
  return std::chrono::duration_cast<milliseconds>(longest);
}

SocketThread* Server::State::thread_of(SocketId id) const {
  const std::size_t index = SocketDirectory::thread_of(id);
  return id.value != 0 && index < threads_.size() ? threads_[index].get() : nullptr;
}

// --------------------------------------------------------------------------------------------------

Server::Server(Options options, Metrics& metrics)
    : state_(std::make_unique<State>(std::move(options), metrics)) {}

Server::~Server() {
  state_->drain();
  state_->join();
}

unsigned Server::default_io_threads() noexcept {
  // One per core: measured on two cores, beside the store's writer and a load generator, a second
  // thread raises the ceiling and costs no latency. Beyond some, the store is what limits.
  return std::clamp(std::thread::hardware_concurrency(), 1u, 8u);
}

void Server::bind_service(PickupService& service, Methods& methods) {
  state_->bind_service(service, methods);
}

Result<std::uint16_t> Server::start() { return state_->start(); }
void Server::drain() { state_->drain(); }
void Server::join() { state_->join(); }
milliseconds Server::longest_silence() const { return state_->longest_silence(); }

bool Server::is_open(SocketId socket) const {
  SocketThread* const thread = state_->thread_of(socket);
  return thread != nullptr && thread->directory().is_open(socket);
}

bool Server::listens(SocketId socket) const {
  SocketThread* const thread = state_->thread_of(socket);
  return thread != nullptr && thread->directory().listens(socket, mask_of(rpc::kMessagesReceived));
}

Delivery Server::deliver(SocketId holder, const Connection& connection,
                         std::span<const StoredMessage> messages) {
  SocketThread* const thread = state_->thread_of(holder);
  if (thread == nullptr) return Delivery::gone;
  return thread->deliver(holder, shared(rpc::messages_received_event(connection.id, messages)));
}

std::size_t Server::deliver_to_subscribers(const Connection& connection,
                                           std::span<const StoredMessage> messages) {
  const SharedText text = shared(rpc::messages_received_event(connection.id, messages));
  std::size_t took = 0;
  for (const auto& thread : state_->threads()) {
    took += thread->directory().send_to_listeners(connection.tenant,
                                                  mask_of(rpc::kMessagesReceived), text);
  }
  return took;
}

void Server::session_replaced(SocketId former_holder, const Connection& connection,
                              const SessionId& session_id) {
  SocketThread* const thread = state_->thread_of(former_holder);
  if (thread == nullptr) return;
  thread->directory().send_if_listening(
      former_holder, mask_of(rpc::kLiveSessionReplaced),
      shared(rpc::live_session_replaced_event(connection.id, session_id)));
}

void Server::push_token_invalid(const InvalidPushToken& token) {
  const SharedText text = shared(rpc::push_token_invalid_event(token));
  for (const auto& thread : state_->threads()) {
    thread->directory().send_to_listeners(token.connection.tenant, mask_of(rpc::kPushTokenInvalid),
                                          text);
  }
}

}  // namespace mpr
