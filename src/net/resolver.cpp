#include "net/resolver.hpp"

#include <netdb.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <mutex>
#include <system_error>
#include <thread>

namespace mpr {

namespace {

using Addresses = std::vector<SocketAddress>;

Result<Addresses> look_up(const std::string& host, std::uint16_t port, int flags) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = flags;
  addrinfo* found = nullptr;
  const int error = ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found);
  if (error != 0) {
    return fail(Errc::unavailable, "cannot resolve " + host + ": " + ::gai_strerror(error));
  }
  Addresses addresses;
  for (const addrinfo* at = found; at != nullptr; at = at->ai_next) {
    SocketAddress address;
    std::memcpy(&address.storage, at->ai_addr, at->ai_addrlen);
    address.length = at->ai_addrlen;
    addresses.push_back(address);
  }
  ::freeaddrinfo(found);
  return addresses;
}

}  // namespace

struct Resolution::Slot {
  std::mutex mutex;
  Result<Addresses> outcome;  // guarded by mutex
};

Resolution::Resolution()
    : fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)), slot_(std::make_unique<Slot>()) {
  if (fd_ < 0) throw std::system_error(errno, std::generic_category(), "eventfd");
}

Resolution::~Resolution() { ::close(fd_); }

void Resolution::set(Result<Addresses> outcome) {
  {
    std::lock_guard lock(slot_->mutex);
    slot_->outcome = std::move(outcome);
  }
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(fd_, &one, sizeof one);
}

Result<Addresses> Resolution::take() {
  std::lock_guard lock(slot_->mutex);
  return std::move(slot_->outcome);
}

class Resolver::Worker {
 public:
  Worker() : thread_([this] { work(); }) {}
  ~Worker() {
    {
      std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_one();
    thread_.join();
  }

  void ask(std::shared_ptr<Resolution> resolution, std::string host, std::uint16_t port) {
    {
      std::lock_guard lock(mutex_);
      questions_.push_back({std::move(resolution), std::move(host), port});
    }
    wake_.notify_one();
  }

 private:
  struct Question {
    std::shared_ptr<Resolution> resolution;
    std::string host;
    std::uint16_t port = 0;
  };

  void work() {
    std::unique_lock lock(mutex_);
    while (true) {
      wake_.wait(lock, [this] { return stopping_ || !questions_.empty(); });
      if (stopping_) return;
      const Question question = std::move(questions_.front());
      questions_.pop_front();
      lock.unlock();
      question.resolution->set(look_up(question.host, question.port, 0));
      lock.lock();
    }
  }

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Question> questions_;  // guarded by mutex_
  bool stopping_ = false;           // guarded by mutex_
  std::thread thread_;              // last: it uses the others
};

Resolver::Resolver() : worker_(std::make_unique<Worker>()) {}
Resolver::~Resolver() = default;

std::shared_ptr<Resolution> Resolver::resolve(std::string host, std::uint16_t port) {
  auto resolution = std::make_shared<Resolution>();
  worker_->ask(resolution, std::move(host), port);
  return resolution;
}

Addresses Resolver::numeric(const std::string& host, std::uint16_t port) {
  return look_up(host, port, AI_NUMERICHOST).value_or(Addresses{});
}

}  // namespace mpr
