// Calls and their answers, over whatever connection there is at present.
//
// A call waits when there is no connection, is sent again when the connection broke before its
// answer, and is repeated when the gateway answered that it cannot at the moment. All of that ends
// with the call's deadline. Calls are sent in the order in which they were made, also after a
// reconnect, except for those that ask to go first then. What waits is bounded in number and bytes.
//
// One thread. The owner holds caller and link; nothing is called once it is gone.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <map>
#include <memory>
#include <mpr/client.hpp>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "client/journal.hpp"
#include "client/link.hpp"

namespace mpr::client {

class Caller {
 public:
  using Clock = std::chrono::steady_clock;
  using Milliseconds = std::chrono::milliseconds;
  struct Limits {
    Milliseconds answer;  // longest wait for the answer to what was sent
    Milliseconds total;   // longest time of a call in all
    std::size_t queued_calls;
    std::size_t queued_bytes;
    std::size_t request_bytes;
  };
  // The raw JSON of the result, which lives until the callback returns.
  using Finish = std::move_only_function<void(Outcome<std::string_view>)>;
  enum class Place { in_order, before_opening };
  enum class Repeat { allowed, never };
  struct Traits {
    Place place = Place::in_order;    // after a reconnect, as to what every connection begins with
    Repeat repeat = Repeat::allowed;  // once it was sent
    std::string session_of;           // the connection whose live session the call is about
    std::function<bool()>
        still_wanted;  // asked before it is sent again; false: it ends with `false`
  };

  // The journal outlives the caller.
  Caller(boost::asio::io_context& io, Limits limits, Link& link, Journal& journal);

  // To be called once before begin().
  void owned_by(std::weak_ptr<void> owner) { owner_ = std::move(owner); }

  // From now on calls wait for a connection.
  void begin();
  // Never calls back from inside.
  void call(std::string_view method, std::string params, Traits traits, Finish finish);
  // A call of the present connection only: it ends with it.
  void call_now(std::string_view method, std::string params, Finish finish);
  // Fails a call that is not to be sent, later, like any other.
  void refuse(std::string_view method, ErrorKind kind, std::string details, Finish finish);

  // A connection is open. `opening` makes the calls with which it begins; they are sent before
  // those that waited, unless these say otherwise.
  void connected(const std::function<void()>& opening);
  // What was not answered waits for the next connection.
  void disconnected(const std::string& why);
  // An attempt to connect failed: what waits in vain will say why.
  void attempt_failed(const std::string& why) { last_failure_ = why; }
  // The gateway is about to close: nothing more is sent to it. Once what was sent is answered, the
  // connection is given up without waiting for its end.
  void drain();
  // Ends every call with this error, and takes no more.
  void end(ErrorKind kind, const std::string& details);
  // Forgets every call without a word.
  void drop();

  // The connections that calls without an outcome are about, see Traits::session_of.
  std::set<std::string> pending_sessions() const;

 private:
  enum class State { idle, disconnected, connected, draining };
  enum class Alarm { refused, no_connection, unanswered, repeat };
  struct Call {
    explicit Call(boost::asio::io_context& io) : timer(io) {}
    std::uint64_t id = 0;
    std::string method;
    std::string params;
    Traits traits;
    Finish finish;
    bool opening = false;
    bool waiting = false;  // for a connection
    bool sent = false;     // on the present connection
    int attempts = 0;
    Clock::time_point deadline;
    Clock::time_point sent_at;
    boost::asio::steady_timer timer;
    std::uint64_t timer_turn = 0;  // so that a timer that was set anew is not heard
    CallError refusal;
  };

  Call& make(std::string_view method, std::string params, Traits traits, Finish finish);
  Call* find(std::uint64_t id);
  bool has_room(const Call& call) const;
  void enqueue(Call& call);
  void dequeue(Call& call);
  void transmit(Call& call);
  void transmit_again(Call& call);
  void answered(Call& call, const Answer& answer);
  void unanswered(Call& call);
  void gateway_failed(Call& call, CallError error);
  void set_alarm(Call& call, Alarm alarm, Clock::duration wait);
  void ring(Call& call, Alarm alarm);
  void finish(Call& call, Outcome<std::string_view> outcome);
  void fail_call(Call& call, ErrorKind kind, std::string details);
  void leave_when_drained();
  std::vector<std::uint64_t> ids() const;

  boost::asio::io_context& io_;
  const Limits limits_;
  Link& link_;
  Journal& journal_;
  std::weak_ptr<void> owner_;
  State state_ = State::idle;
  // Every call without an outcome, in the order of their ids, which is the order of sending.
  std::map<std::uint64_t, Call> calls_;
  std::uint64_t last_id_ = 0;
  std::size_t queued_calls_ = 0;
  std::size_t queued_bytes_ = 0;
  std::size_t sent_calls_ = 0;
  std::string last_failure_;  // why there is no connection
  std::mt19937_64 random_{std::random_device{}()};
};

}  // namespace mpr::client
