#include "store/mongo/worker.hpp"

#include <unordered_set>

#include "store/mongo/message_queues.hpp"

namespace mpr::mongo {

namespace {

constexpr std::size_t kGroupOperations = 500;
constexpr std::size_t kGroupBytes = 8 << 20;
// How far behind the front of the backlog a group is gathered.
constexpr std::size_t kLookAhead = 2000;

template <class Op>
std::vector<std::shared_ptr<Op>> cast(const std::vector<std::shared_ptr<Operation>>& group) {
  std::vector<std::shared_ptr<Op>> out;
  out.reserve(group.size());
  for (const auto& operation : group) out.push_back(std::static_pointer_cast<Op>(operation));
  return out;
}

}  // namespace

Worker::Worker(StoreState& state) : state_(state), thread_([this] { run(); }) {}

Worker::~Worker() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

Result<void> Worker::submit(std::shared_ptr<Operation> operation) {
  {
    std::lock_guard lock(mutex_);
    const MongoOptions& bounds = state_.options;
    if (stop_ || waiting_ >= bounds.max_waiting_operations ||
        (waiting_ > 0 && waiting_bytes_ + operation->bytes > bounds.max_waiting_bytes)) {
      return fail(Errc::unavailable, "too much waits for MongoDB: it is too slow for what arrives");
    }
    waiting_ += 1;
    waiting_bytes_ += operation->bytes;
    arrived_.push_back(std::move(operation));
  }
  wake_.notify_one();
  return {};
}

// False: the worker has to end.
bool Worker::wait_for_work() {
  std::unique_lock lock(mutex_);
  if (backlog_.empty()) wake_.wait(lock, [this] { return stop_ || !arrived_.empty(); });
  for (auto& operation : arrived_) backlog_.push_back(std::move(operation));
  arrived_.clear();
  return !stop_;
}

// The first of the backlog, and what may be done together with it.
Worker::Group Worker::next_group() {
  Group group;
  std::deque<std::shared_ptr<Operation>> left;
  std::unordered_set<Connection, ConnectionHash> held;  // something of them waits, or must be alone
  std::size_t bytes = 0;
  std::size_t gone_bytes = 0;
  std::size_t gone = 0;
  const Operation::Kind kind = backlog_.front()->kind;
  for (std::size_t looked = 0; !backlog_.empty() && looked < kLookAhead; ++looked) {
    std::shared_ptr<Operation> operation = std::move(backlog_.front());
    backlog_.pop_front();
    const bool fits = group.size() < kGroupOperations && bytes < kGroupBytes &&
                      (kind != Operation::Kind::other || group.empty());
    const bool copies = kind == Operation::Kind::copy;
    const bool joins =
        fits && operation->kind == kind && (copies || !held.contains(operation->connection));
    if (joins) operation->start();
    if (operation->answered()) {
      gone += 1;
      gone_bytes += operation->bytes;
    } else if (joins) {
      if (kind == Operation::Kind::remove) held.insert(operation->connection);
      bytes += operation->bytes;
      group.push_back(std::move(operation));
    } else {
      held.insert(operation->connection);
      left.push_back(std::move(operation));
      if (!fits) break;
    }
  }
  backlog_.insert(backlog_.begin(), std::make_move_iterator(left.begin()),
                  std::make_move_iterator(left.end()));
  std::lock_guard lock(mutex_);
  waiting_ -= group.size() + gone;
  waiting_bytes_ -= bytes + gone_bytes;
  return group;
}

void Worker::run() {
  MessageQueues queues(state_);
  Resumptions resumptions;
  while (wait_for_work()) {
    const Group group = next_group();
    if (group.empty()) continue;
    switch (group.front()->kind) {
      case Operation::Kind::add:
        queues.add(cast<AddOperation>(group), resumptions);
        break;
      case Operation::Kind::remove:
        queues.remove(cast<RemoveOperation>(group), resumptions);
        break;
      case Operation::Kind::copy:
        queues.copy(cast<CopyOperation>(group), resumptions);
        break;
      case Operation::Kind::other:
        group.front()->run(queues, resumptions);
        break;
    }
    resumptions.flush();
  }
  refuse_backlog(resumptions);
}

void Worker::refuse_backlog(Resumptions& resumptions) {
  for (const auto& operation : backlog_) {
    operation->refuse({Errc::unavailable, "the store is closing"}, resumptions);
  }
  backlog_.clear();
  resumptions.flush();
}

}  // namespace mpr::mongo
