// One server as one lane sees it: a connection that is made when it is needed and made again when
// it breaks, the requests in its pipeline, and those that wait for it to open.
//
// Belongs to its lane and the lane's io thread.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "store/redis/link.hpp"
#include "store/redis/operation.hpp"
#include "store/redis/pipeline.hpp"
#include "store/redis/server_address.hpp"

namespace mpr::redis {

class Lane;

class Node final : private LinkUser {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  Node(Lane& lane, ServerAddress address);

  const ServerAddress& address() const noexcept { return address_; }

  // Writes the operation's next attempt, or keeps it until the connection is open.
  void submit(Operation& operation);
  // Sends what was written in this turn.
  void flush();
  // Watches the time: connecting, reconnecting, silence.
  void check_time(TimePoint now);
  // Connects, and stays connected, without being asked for anything.
  void keep_connected(bool keep);
  // A sign of life is asked for, unless something else is under way.
  void ping();

  bool is_open() const noexcept { return link_.is_open(); }
  // Nothing is under way or waits.
  bool is_idle() const noexcept { return pipeline_.empty() && queue_.empty(); }
  bool is_settled() const noexcept { return link_.is_open() && queue_.empty(); }
  bool is_closed() const noexcept { return link_.is_closed(); }
  void close_link() { link_.close(); }
  // Why there is no connection; empty when there is one, or none was tried.
  const std::string& problem() const noexcept { return problem_; }
  std::size_t waiting_bytes() const noexcept { return waiting_bytes_ + link_.unsent(); }
  // Bytes of the stream that left, for what is known of a written operation.
  std::uint64_t gone() const noexcept { return link_.gone(); }

  // The server cannot take writes: what is under way is waited for, then the connection is made
  // anew, because the name may lead to another server by now.
  void renew();
  // The node serves nothing any more: what waits for its connection goes elsewhere.
  void retire();

 private:
  void on_open() override;
  void on_value(Value value) override;
  void on_read() override;
  void on_lost(std::string reason, std::uint64_t gone) override;

  void write(Operation& operation);
  void give_back_queue();
  void finish_done();
  void connect();
  std::chrono::milliseconds next_delay();

  Lane& lane_;
  const ServerAddress address_;
  Link link_;
  Pipeline pipeline_;
  std::deque<Operation*> queue_;
  std::vector<Pipeline::Done> done_;
  std::size_t waiting_bytes_ = 0;  // in queue_
  bool dirty_ = false;             // listed for the flush of this turn
  bool keep_connected_ = false;
  bool renewing_ = false;
  bool opened_ = false;      // the present connection came to be open
  bool complained_ = false;  // the log says that it cannot be reached
  unsigned failures_ = 0;
  TimePoint retry_at_{};
  TimePoint waiting_since_{};  // when the pipeline was empty for the last time
  std::string problem_;
};

}  // namespace mpr::redis
