// A proxy in front of one Redis server that breaks a connection at a chosen request: after the
// server executed it, so that its answer is lost, or before, so that it arrives later, when nobody
// waits for it any more. Runs on a thread of its own, on the loopback interface; gone with the
// object. Any thread may call.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace mpr::test {

class RedisProxy {
 public:
  explicit RedisProxy(std::uint16_t server_port);
  ~RedisProxy();
  RedisProxy(const RedisProxy&) = delete;
  RedisProxy& operator=(const RedisProxy&) = delete;

  std::uint16_t port() const noexcept { return port_; }

  // The next `times` requests that contain the word are executed, and never answered: the
  // connection is reset instead.
  void lose_answers_to(std::string word, int times);
  // The connection of the next request that contains the word is reset, and the request kept until
  // deliver(): that yields whether the server took it, false if it had closed the connection.
  void delay(std::string word);
  bool deliver();
  // How many requests were met so.
  int met() const noexcept { return met_; }

 private:
  struct Relay {
    int client = -1;  // -1: reset
    int server = -1;
    bool doomed = false;  // the next bytes of the server end it
  };
  enum class Fate { forward, lose_answer, delay };

  void run();
  void accept_one();
  Fate fate_of(const std::string& bytes);
  // False: the connection has ended.
  bool from_client(Relay& relay);
  bool from_server(Relay& relay);

  const std::uint16_t server_port_;
  int listener_ = -1;
  std::uint16_t port_ = 0;
  std::vector<Relay> relays_;  // own thread

  std::mutex mutex_;
  std::string word_;  // guarded by mutex_, as is what follows
  Fate fate_ = Fate::forward;
  int times_ = 0;
  std::string delayed_;
  int delayed_to_ = -1;  // the server's socket, which run() watches no more

  std::atomic<int> met_ = 0;
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

}  // namespace mpr::test
