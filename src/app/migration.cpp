#include "app/migration.hpp"

#include <chrono>

#include "app/old_message.hpp"

namespace mpr {

namespace {

constexpr std::size_t kElementsAtOnce = 100;
constexpr std::chrono::seconds kPatience{10};      // of one step
constexpr std::chrono::minutes kScanPatience{10};  // for finding and counting all of them

std::uint64_t messages_in(const std::vector<OldQueues::Queue>& queues) {
  std::uint64_t messages = 0;
  for (const auto& queue : queues) messages += queue.length;
  return messages;
}

std::string complaint_about(const OldQueues::Queue& queue, const Error& error) {
  return "an element of " + OldQueues::shown(queue.key) + ": " + error.context;
}

}  // namespace

// Names what is no queue, and counts the rest.
Task<Result<std::vector<OldQueues::Queue>>> Migration::find(MigrationProgress& progress) {
  auto found = co_await ports_.queues.find(Deadline::after(kScanPatience));
  if (!found) co_return std::unexpected(std::move(found).error());
  for (const std::string& sentence : found->foreign) ports_.on_unreadable(sentence);
  progress.foreign = found->foreign.size();
  progress.queues = found->queues.size();
  progress.messages = messages_in(found->queues);
  co_return std::move(found->queues);
}

Task<Result<MigrationProgress>> Migration::dry_run() {
  MigrationProgress progress;
  const auto queues = co_await find(progress);
  if (!queues) co_return std::unexpected(queues.error());
  for (const OldQueues::Queue& queue : *queues) {
    const auto elements =
        co_await ports_.queues.head(queue, kElementsAtOnce, Deadline::after(kPatience));
    if (!elements) co_return std::unexpected(elements.error());
    for (const std::string& element : *elements) {
      const auto message = parse_old_message(element, ports_.clock.now());
      if (message) continue;
      ++progress.unreadable;
      ports_.on_unreadable(complaint_about(queue, message.error()));
    }
  }
  co_return progress;
}

Task<Result<MigrationProgress>> Migration::run() {
  MigrationProgress progress;
  auto queues = co_await find(progress);
  if (!queues) co_return std::unexpected(std::move(queues).error());
  for (OldQueues::Queue& queue : *queues) {
    auto taken = co_await take_over(std::move(queue), progress);
    if (!taken) co_return std::unexpected(std::move(taken).error());
    ++progress.queues_done;
    ports_.on_progress(progress);
  }
  co_return progress;
}

Task<Result<void>> Migration::take_over(OldQueues::Queue queue, MigrationProgress& progress) {
  while (true) {
    auto elements = co_await ports_.queues.head(queue, kElementsAtOnce, Deadline::after(kPatience));
    if (!elements) co_return std::unexpected(std::move(elements).error());
    if (elements->empty()) co_return Result<void>();
    for (std::string& element : *elements) {
      auto taken = co_await take_over_one(queue, std::move(element), progress);
      if (!taken) co_return taken;
    }
    ports_.on_progress(progress);
  }
}

Task<Result<void>> Migration::take_over_one(OldQueues::Queue queue, std::string element,
                                            MigrationProgress& progress) {
  auto fate = OldQueues::Fate::taken_over;
  auto message = parse_old_message(element, ports_.clock.now());
  if (message && message->connection.id != queue.connection) {
    message = fail(Errc::invalid_argument, "its connectionId is not that of the queue");
  }
  if (message) {
    const auto added = co_await ports_.store->add(std::move(*message), Deadline::after(kPatience));
    if (!added) co_return std::unexpected(added.error());
    ++(added->duplicate ? progress.known : progress.taken_over);
  } else {
    fate = OldQueues::Fate::unreadable;
    ++progress.unreadable;
    ports_.on_unreadable(complaint_about(queue, message.error()));
  }
  const std::string key = OldQueues::shown(queue.key);
  const auto moved = co_await ports_.queues.set_aside(std::move(queue), std::move(element), fate,
                                                      Deadline::after(kPatience));
  if (!moved) co_return std::unexpected(moved.error());
  if (!*moved) {
    co_return fail(Errc::unavailable, key +
                                          " was changed by somebody else: stop the other service, "
                                          "then run this again");
  }
  co_return Result<void>();
}

}  // namespace mpr
