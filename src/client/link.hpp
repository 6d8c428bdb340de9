// Keeps one connection to one of the gateways open until it is stopped: connects, logs in, notices
// the end, waits as the policy says, connects again. At any moment there is one connection at most,
// and what a former one still says is not heard any more.
//
// One thread. The listener owns the link: it is held while the link calls it, and nothing is called
// once it is gone.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "client/journal.hpp"
#include "client/reconnect_policy.hpp"
#include "client/rpc_client.hpp"

namespace mpr::client {

class Link {
 public:
  using Clock = std::chrono::steady_clock;
  struct Options {
    std::vector<Url> urls;
    std::string token;                // empty: no login
    std::shared_ptr<TlsContext> tls;  // set when one of the addresses is a wss:// one
    std::string server_name;          // see RpcClient::Options
    std::chrono::milliseconds connect_timeout;
    std::chrono::milliseconds heartbeat;
    ReconnectPolicy::Times times;
  };
  enum class Refusal { none, unauthorized, untrusted };

  class Listener {
   public:
    virtual ~Listener() = default;
    // Connected and logged in.
    virtual void opened() = 0;
    virtual void event(const Event& event) = 0;
    // The open connection has ended; another attempt follows by itself.
    virtual void lost(const std::string& why) = 0;
    // An attempt failed; another one follows by itself.
    virtual void failed(const std::string& why, Refusal refusal) = 0;
  };

  // The journal outlives the link.
  Link(boost::asio::io_context& io, Options options, Listener& listener, Journal& journal);

  // To be called once before start().
  void owned_by(std::weak_ptr<Listener> owner) { owner_ = std::move(owner); }

  void start();
  // Says goodbye and stays closed; the listener hears nothing more.
  void stop();
  // Gives the present connection up and goes on to the next address.
  void abandon(const std::string& why);

  bool open() const noexcept { return open_; }
  bool all_failed() const noexcept { return policy_.all_failed(); }
  // Sends a call. When the connection ends before the answer, `done` hears Kind::lost or nothing.
  void send(std::string_view method, std::string_view params, RpcClient::AnswerHandler done);
  // Whether anything came from the gateway since then.
  bool heard_since(Clock::time_point moment) const { return heard_at_ > moment; }

 private:
  void schedule(ReconnectPolicy::Attempt attempt);
  void connect(std::size_t address);
  void connected(Result<void> outcome);
  void log_in();
  void become_open();
  void check_pulse();
  void ended(const std::string& why, Refusal refusal = Refusal::none);
  // "host:port"; a path or a query may hold secrets.
  std::string address() const;
  void set_timer(std::chrono::milliseconds wait, void (Link::*then)());
  void connect_scheduled() { connect(next_address_); }
  void give_attempt_up() { ended("the gateway did not answer the handshake in time"); }
  double chance() { return std::uniform_real_distribution<double>(0, 1)(random_); }

  boost::asio::io_context& io_;
  const Options options_;
  Listener& listener_;
  Journal& journal_;
  std::weak_ptr<Listener> owner_;
  ReconnectPolicy policy_;
  std::mt19937_64 random_{std::random_device{}()};
  boost::asio::steady_timer timer_;  // of the next attempt, of the present attempt, or of the pulse
  std::uint64_t timer_turn_ = 0;     // so that a timer that was set anew is not heard
  std::unique_ptr<RpcClient> connection_;
  std::uint64_t generation_ = 0;  // of connection_
  std::size_t next_address_ = 0;
  bool running_ = false;
  bool open_ = false;
  Clock::time_point opened_at_;
  Clock::time_point heard_at_;
  Clock::time_point asked_at_;  // when the gateway was last asked for a sign of life
};

}  // namespace mpr::client
