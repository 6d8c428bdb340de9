#include "store/redis/pipeline.hpp"

#include <utility>

#include "store/redis/request.hpp"

namespace mpr::redis {

void Pipeline::send(Operation& operation, std::string& out, std::uint64_t position) {
  operation.begin = position;
  operation.written = true;
  operation.begin_attempt(out);
  expected_.push_back({Kind::operation, &operation});
  if (operation.request.durability() == Durability::replicated) ++unconfirmed_;
}

void Pipeline::send_ping(std::string& out) {
  out += "*1\r\n$4\r\nPING\r\n";
  expected_.push_back({Kind::ping, nullptr});
}

void Pipeline::send_wait(std::string& out, std::int64_t milliseconds) {
  if (unconfirmed_ == 0) return;
  unconfirmed_ = 0;
  Request wait("");
  wait.add({"WAIT", "1", std::to_string(milliseconds)});
  out += wait.bytes();
  expected_.push_back({Kind::wait, nullptr});
  ++waits_;
}

bool Pipeline::on_value(Value value, std::vector<Done>& done) {
  if (expected_.empty()) return false;
  const Expected next = expected_.front();
  switch (next.kind) {
    case Kind::operation:
      if (!next.operation->take(std::move(value))) return true;
      if (next.operation->request.durability() == Durability::replicated) {
        answered_.push_back(next.operation);
      } else {
        done.push_back({next.operation, 0});
      }
      break;
    case Kind::ping:
      break;
    case Kind::wait:
      finish_wait(value, done);
      break;
  }
  expected_.pop_front();
  return true;
}

// Whatever was answered before the answer to WAIT was written before it.
void Pipeline::finish_wait(const Value& value, std::vector<Done>& done) {
  --waits_;
  in_doubt_ = !value.is_integer() || value.integer < 1;
  for (Operation* operation : answered_) {
    done.push_back({operation, value.is_integer() ? value.integer : 0});
  }
  answered_.clear();
}

std::vector<Operation*> Pipeline::take_all() {
  std::vector<Operation*> all = std::exchange(answered_, {});
  for (const Expected& expected : expected_) {
    if (expected.operation != nullptr) all.push_back(expected.operation);
  }
  expected_.clear();
  unconfirmed_ = 0;
  waits_ = 0;
  in_doubt_ = false;
  return all;
}

}  // namespace mpr::redis
