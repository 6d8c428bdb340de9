// An EventSink that remembers what it was given, with sockets that tests open, fill and close.
#pragma once

#include <map>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "pickup/event_sink.hpp"

namespace mpr::test {

class RecordingSink final : public EventSink {
 public:
  bool is_open(SocketId socket) const override {
    std::lock_guard lock(mutex_);
    return !closed_.contains(socket);
  }

  bool listens(SocketId socket) const override {
    std::lock_guard lock(mutex_);
    return subscribers_.contains(socket);
  }

  Delivery deliver(SocketId holder, const Connection& connection,
                   std::span<const StoredMessage> messages) override {
    std::lock_guard lock(mutex_);
    if (closed_.contains(holder)) return Delivery::gone;
    if (full_.contains(holder)) return Delivery::full;
    record(holder, connection, messages);
    return Delivery::accepted;
  }

  std::size_t deliver_to_subscribers(const Connection& connection,
                                     std::span<const StoredMessage> messages) override {
    std::lock_guard lock(mutex_);
    for (const SocketId socket : subscribers_) record(socket, connection, messages);
    return subscribers_.size();
  }

  void session_replaced(SocketId former_holder, const Connection& connection,
                        const SessionId& session_id) override {
    std::lock_guard lock(mutex_);
    replaced_.push_back({former_holder, connection.id.value + "/" + session_id.value});
  }

  void close(SocketId socket) {
    std::lock_guard lock(mutex_);
    closed_.insert(socket);
    subscribers_.erase(socket);
  }
  void fill(SocketId socket) {
    std::lock_guard lock(mutex_);
    full_.insert(socket);
  }
  void drain(SocketId socket) {
    std::lock_guard lock(mutex_);
    full_.erase(socket);
  }
  void subscribe(SocketId socket) {
    std::lock_guard lock(mutex_);
    subscribers_.insert(socket);
  }

  // Payloads of the events that went to a socket, in order.
  std::vector<std::string> received(SocketId socket) const {
    std::lock_guard lock(mutex_);
    const auto it = received_.find(socket);
    return it == received_.end() ? std::vector<std::string>() : it->second;
  }
  std::vector<std::pair<SocketId, std::string>> replaced() const {
    std::lock_guard lock(mutex_);
    return replaced_;
  }

 private:
  void record(SocketId socket, const Connection&, std::span<const StoredMessage> messages) {
    for (const StoredMessage& m : messages) received_[socket].push_back(*m.payload);
  }

  mutable std::mutex mutex_;
  std::set<SocketId> closed_;
  std::set<SocketId> full_;
  std::set<SocketId> subscribers_;
  std::map<SocketId, std::vector<std::string>> received_;
  std::vector<std::pair<SocketId, std::string>> replaced_;
};

}  // namespace mpr::test
