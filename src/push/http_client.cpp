#include "push/http_client.hpp"

#include <curl/curl.h>

#include <algorithm>
#include <exception>
#include <stdexcept>
#include <system_error>
#include <unordered_map>
#include <utility>

#include "push/alarm.hpp"

namespace mpr {

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kMaxAnswerBytes = 16 * 1024;
// libcurl asks to be called again at once for as long as it has work; beyond this many times in one
// turn the other users of the thread get theirs.
constexpr int kRoundsPerTurn = 8;
// An idle connection older than this is not used again: middleboxes forget it without a word.
constexpr long kIdleSeconds = 300;

struct CurlLibrary {
  CurlLibrary() { curl_global_init(CURL_GLOBAL_DEFAULT); }
  ~CurlLibrary() { curl_global_cleanup(); }
};

void need_library() { static const CurlLibrary library; }

template <class Value>
void set(CURL* easy, CURLoption option, Value value) {
  if (curl_easy_setopt(easy, option, value) != CURLE_OK) {
    throw std::runtime_error("libcurl refuses option " + std::to_string(option));
  }
}

// One request on its way through libcurl. Its easy handle is used again for later requests.
struct Transfer {
  CURL* easy = nullptr;
  curl_slist* headers = nullptr;
  HttpRequest request;
  HttpAnswer answer;
  Completion<HttpAnswer>* completion = nullptr;
  Clock::time_point started;

  Transfer() : easy(curl_easy_init()) {
    if (easy == nullptr) throw std::bad_alloc();
  }
  ~Transfer() {
    curl_slist_free_all(headers);
    curl_easy_cleanup(easy);
  }
  Transfer(const Transfer&) = delete;
  Transfer& operator=(const Transfer&) = delete;
};

}  // namespace

class HttpClient::Engine {
 public:
  Engine(IoThread& thread, Options options);
  ~Engine();

  void submit(HttpRequest request, Completion<HttpAnswer>& completion);
  void stop();
  std::size_t connections_opened() const noexcept { return connections_opened_; }

 private:
  struct Socket final : IoThread::Source {
    Socket(Engine& owner, curl_socket_t descriptor) : engine(owner), fd(descriptor) {}
    void on_ready(IoThread::Ready ready) override { engine.on_ready(fd, ready); }
    Engine& engine;
    const curl_socket_t fd;
  };
  struct Waiting {
    HttpRequest request;
    Completion<HttpAnswer>* completion;
  };

  void open_multi();
  void close_multi();
  void start(Waiting waiting);
  std::unique_ptr<Transfer> make_transfer();
  void prepare(Transfer& transfer);
  void start_waiting();
  void on_ready(curl_socket_t fd, IoThread::Ready ready);
  void run_timeouts();
  void collect();
  void finish(Transfer& transfer, CURLcode outcome);
  void fail_all(const std::string& reason);
  void reset_if_silent(CURLcode outcome, Clock::time_point started);

  void on_socket(curl_socket_t fd, int what);
  void forget_socket(curl_socket_t fd);
  static int socket_callback(CURL*, curl_socket_t fd, int what, void* self, void*);
  static int timer_callback(CURLM*, long timeout_ms, void* self);
  static std::size_t write_callback(char* bytes, std::size_t size, std::size_t count, void* to);

  IoThread& thread_;
  const Options options_;
  Alarm alarm_;
  CURLM* multi_ = nullptr;
  bool due_ = false;  // libcurl wants to be called at once
  bool stopped_ = false;
  bool must_reset_ = false;
  std::size_t connections_opened_ = 0;
  Clock::time_point last_answer_;
  std::deque<Waiting> waiting_;
  std::unordered_map<Transfer*, std::unique_ptr<Transfer>> in_flight_;
  std::vector<std::unique_ptr<Transfer>> spare_;
  std::unordered_map<curl_socket_t, std::unique_ptr<Socket>> sockets_;
  // Sockets that libcurl gave up while one of them may be calling; freed at the end of the turn.
  std::vector<std::unique_ptr<Socket>> given_up_;
  Resumptions resumptions_;
};

HttpClient::Engine::Engine(IoThread& thread, Options options)
    : thread_(thread), options_(std::move(options)), alarm_(thread, [this] { due_ = true; }) {
  need_library();
  open_multi();
  thread_.at_turn_end([this] { run_timeouts(); });
}

HttpClient::Engine::~Engine() {
  stopped_ = true;
  fail_all("the sender was stopped");
  close_multi();
}

void HttpClient::Engine::open_multi() {
  multi_ = curl_multi_init();
  if (multi_ == nullptr) throw std::bad_alloc();
  const auto connections = static_cast<long>(options_.connections);
  curl_multi_setopt(multi_, CURLMOPT_PIPELINING, CURLPIPE_MULTIPLEX);
  // Without these bounds a burst opens a connection for nearly every request.
  curl_multi_setopt(multi_, CURLMOPT_MAX_HOST_CONNECTIONS, connections);
  curl_multi_setopt(multi_, CURLMOPT_MAX_TOTAL_CONNECTIONS, 2 * connections);
  curl_multi_setopt(multi_, CURLMOPT_MAXCONNECTS, 2 * connections);
  curl_multi_setopt(multi_, CURLMOPT_MAX_CONCURRENT_STREAMS, static_cast<long>(options_.streams));
  curl_multi_setopt(multi_, CURLMOPT_SOCKETFUNCTION, &Engine::socket_callback);
  curl_multi_setopt(multi_, CURLMOPT_SOCKETDATA, this);
  curl_multi_setopt(multi_, CURLMOPT_TIMERFUNCTION, &Engine::timer_callback);
  curl_multi_setopt(multi_, CURLMOPT_TIMERDATA, this);
}

void HttpClient::Engine::close_multi() {
  spare_.clear();
  // Before libcurl closes them, which it does without a word when the whole handle goes.
  curl_multi_setopt(multi_, CURLMOPT_SOCKETFUNCTION, nullptr);
  while (!sockets_.empty()) forget_socket(sockets_.begin()->first);
  curl_multi_cleanup(multi_);
  multi_ = nullptr;
  given_up_.clear();
  alarm_.clear();
  due_ = false;
}

void HttpClient::Engine::submit(HttpRequest request, Completion<HttpAnswer>& completion) {
  if (stopped_) {
    HttpAnswer answer;
    answer.failure = "the sender was stopped";
    completion.complete(std::move(answer));
    return;
  }
  waiting_.push_back({std::move(request), &completion});
  start_waiting();
}

void HttpClient::Engine::start_waiting() {
  while (!waiting_.empty() && in_flight_.size() < options_.in_flight) {
    Waiting next = std::move(waiting_.front());
    waiting_.pop_front();
    start(std::move(next));
  }
}

void HttpClient::Engine::start(Waiting waiting) {
  std::unique_ptr<Transfer> transfer;
  if (spare_.empty()) {
    transfer = make_transfer();
  } else {
    transfer = std::move(spare_.back());
    spare_.pop_back();
  }
  transfer->request = std::move(waiting.request);
  transfer->completion = waiting.completion;
  transfer->answer = {};
  transfer->started = Clock::now();
  prepare(*transfer);
  CURL* const easy = transfer->easy;
  Transfer* const key = transfer.get();
  in_flight_.emplace(key, std::move(transfer));
  if (curl_multi_add_handle(multi_, easy) != CURLM_OK) finish(*key, CURLE_FAILED_INIT);
}

// What is the same for all requests of this client.
std::unique_ptr<Transfer> HttpClient::Engine::make_transfer() {
  auto transfer = std::make_unique<Transfer>();
  CURL* const easy = transfer->easy;
  set(easy, CURLOPT_NOSIGNAL, 1L);
  set(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  set(easy, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_2TLS));
  set(easy, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  // Waits for a connection that is being made instead of making another.
  set(easy, CURLOPT_PIPEWAIT, 1L);
  set(easy, CURLOPT_TCP_KEEPALIVE, 1L);
  set(easy, CURLOPT_MAXAGE_CONN, kIdleSeconds);
  set(easy, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(options_.connect_timeout.count()));
  set(easy, CURLOPT_TIMEOUT_MS, static_cast<long>(options_.timeout.count()));
  if (!options_.ca_file.empty()) set(easy, CURLOPT_CAINFO, options_.ca_file.c_str());
  set(easy, CURLOPT_POST, 1L);
  set(easy, CURLOPT_WRITEFUNCTION, &Engine::write_callback);
  set(easy, CURLOPT_WRITEDATA, transfer.get());
  set(easy, CURLOPT_PRIVATE, transfer.get());
  return transfer;
}

void HttpClient::Engine::prepare(Transfer& transfer) {
  curl_slist_free_all(std::exchange(transfer.headers, nullptr));
  for (const std::string& header : transfer.request.headers) {
    transfer.headers = curl_slist_append(transfer.headers, header.c_str());
  }
  transfer.headers = curl_slist_append(transfer.headers, "Expect:");  // no 100-continue
  set(transfer.easy, CURLOPT_URL, transfer.request.url.c_str());
  set(transfer.easy, CURLOPT_HTTPHEADER, transfer.headers);
  set(transfer.easy, CURLOPT_POSTFIELDSIZE, static_cast<long>(transfer.request.body.size()));
  set(transfer.easy, CURLOPT_POSTFIELDS, transfer.request.body.c_str());
}

void HttpClient::Engine::on_ready(curl_socket_t fd, IoThread::Ready ready) {
  int what = 0;
  if (ready.readable) what |= CURL_CSELECT_IN;
  if (ready.writable) what |= CURL_CSELECT_OUT;
  if (ready.broken) what |= CURL_CSELECT_ERR;
  int running = 0;
  curl_multi_socket_action(multi_, fd, what, &running);
  collect();
}

// At the end of each turn: all requests that the turn brought start together.
void HttpClient::Engine::run_timeouts() {
  for (int round = 0; due_ && round < kRoundsPerTurn; ++round) {
    due_ = false;
    int running = 0;
    curl_multi_socket_action(multi_, CURL_SOCKET_TIMEOUT, 0, &running);
    collect();
  }
  if (due_) thread_.run([] {});  // the next turn follows at once
  if (std::exchange(must_reset_, false)) {
    fail_all("the server went silent");
    close_multi();
    open_multi();
    start_waiting();
    if (due_) thread_.run([] {});
  }
  given_up_.clear();
  resumptions_.flush();
}

void HttpClient::Engine::collect() {
  int left = 0;
  while (const CURLMsg* message = curl_multi_info_read(multi_, &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    const CURLcode outcome = message->data.result;
    char* transfer = nullptr;
    curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &transfer);
    finish(*reinterpret_cast<Transfer*>(transfer), outcome);
  }
  start_waiting();
}

void HttpClient::Engine::finish(Transfer& transfer, CURLcode outcome) {
  HttpAnswer& answer = transfer.answer;
  if (outcome == CURLE_OK) {
    long status = 0;
    curl_off_t seconds = 0;
    curl_easy_getinfo(transfer.easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(transfer.easy, CURLINFO_RETRY_AFTER, &seconds);
    answer.status = static_cast<int>(status);
    if (seconds > 0) answer.retry_after = std::chrono::seconds(seconds);
    last_answer_ = Clock::now();
  } else {
    // Not libcurl's longer text, which may hold the path, and that the token.
    answer.body.clear();
    answer.failure = curl_easy_strerror(outcome);
  }
  long connects = 0;
  curl_easy_getinfo(transfer.easy, CURLINFO_NUM_CONNECTS, &connects);
  connections_opened_ += static_cast<std::size_t>(std::max(connects, 0L));
  curl_multi_remove_handle(multi_, transfer.easy);
  reset_if_silent(outcome, transfer.started);

  transfer.completion->set(std::move(answer), resumptions_);
  auto owned = in_flight_.extract(&transfer);
  if (spare_.size() < options_.in_flight) spare_.push_back(std::move(owned.mapped()));
}

// A connection whose peer vanished without a word keeps taking requests until the kernel gives up,
// after many minutes. When a request timed out and nothing at all was answered since it was sent,
// all connections are thrown away.
void HttpClient::Engine::reset_if_silent(CURLcode outcome, Clock::time_point started) {
  if (outcome == CURLE_OPERATION_TIMEDOUT && last_answer_ < started) must_reset_ = true;
}

void HttpClient::Engine::fail_all(const std::string& reason) {
  const auto answer = [&](Completion<HttpAnswer>& completion) {
    HttpAnswer failed;
    failed.failure = reason;
    completion.set(std::move(failed), resumptions_);
  };
  for (auto& [key, transfer] : in_flight_) {
    curl_multi_remove_handle(multi_, transfer->easy);
    answer(*transfer->completion);
  }
  in_flight_.clear();
  if (stopped_) {
    for (Waiting& waiting : waiting_) answer(*waiting.completion);
    waiting_.clear();
  }
  resumptions_.flush();
}

void HttpClient::Engine::stop() {
  stopped_ = true;
  fail_all("the sender was stopped");
}

// --- libcurl's callbacks: called from within the calls above ------------------------------------

void HttpClient::Engine::forget_socket(curl_socket_t fd) {
  auto socket = sockets_.extract(fd);
  if (socket.empty()) return;
  given_up_.push_back(std::move(socket.mapped()));
  try {
    thread_.unwatch(fd, *given_up_.back());
  } catch (const std::system_error&) {
    // libcurl has closed it already, and with that the kernel stopped watching.
  }
}

void HttpClient::Engine::on_socket(curl_socket_t fd, int what) {
  if (what == CURL_POLL_REMOVE) return forget_socket(fd);
  const auto found = sockets_.find(fd);
  const auto interest = what == CURL_POLL_IN    ? IoThread::Interest::read
                        : what == CURL_POLL_OUT ? IoThread::Interest::write
                                                : IoThread::Interest::read_write;
  if (found == sockets_.end()) {
    auto socket = std::make_unique<Socket>(*this, fd);
    thread_.watch(fd, *socket, interest);
    sockets_.emplace(fd, std::move(socket));
    return;
  }
  try {
    thread_.change(fd, *found->second, interest);
  } catch (const std::system_error&) {
    // A new socket under the number of one that libcurl closed without a word.
    thread_.watch(fd, *found->second, interest);
  }
}

int HttpClient::Engine::socket_callback(CURL*, curl_socket_t fd, int what, void* self, void*) {
  try {
    static_cast<Engine*>(self)->on_socket(fd, what);
  } catch (const std::exception&) {
    return -1;  // out of memory or descriptors: libcurl ends the transfers with an error
  }
  return 0;
}

int HttpClient::Engine::timer_callback(CURLM*, long timeout_ms, void* self) {
  Engine& engine = *static_cast<Engine*>(self);
  if (timeout_ms == 0) {
    engine.due_ = true;
  } else if (timeout_ms < 0) {
    engine.alarm_.clear();
  } else {
    engine.alarm_.set(Clock::now() + std::chrono::milliseconds(timeout_ms));
  }
  return 0;
}

std::size_t HttpClient::Engine::write_callback(char* bytes, std::size_t size, std::size_t count,
                                               void* to) {
  std::string& body = static_cast<Transfer*>(to)->answer.body;
  const std::size_t length = size * count;
  body.append(bytes, std::min(length, kMaxAnswerBytes - std::min(body.size(), kMaxAnswerBytes)));
  return length;
}

// --- the client ---------------------------------------------------------------------------------

HttpClient::HttpClient(IoThread& thread, Options options)
    : engine_(std::make_unique<Engine>(thread, std::move(options))) {}
HttpClient::~HttpClient() = default;

Task<HttpAnswer> HttpClient::post(HttpRequest request) {
  const auto submit = [&](Completion<HttpAnswer>& completion) {
    engine_->submit(std::move(request), completion);
  };
  co_return co_await answer_of<HttpAnswer>(submit);
}

void HttpClient::stop() { engine_->stop(); }

std::size_t HttpClient::connections_opened() const noexcept {
  return engine_->connections_opened();
}

}  // namespace mpr
