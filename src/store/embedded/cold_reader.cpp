#include "store/embedded/cold_reader.hpp"

#include <iterator>

namespace mpr {

ColdReader::~ColdReader() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_one();
  if (thread_.joinable()) thread_.join();
}

Task<Result<std::vector<StoredMessage>>> ColdReader::read(std::vector<RecordPlace> places,
                                                          Deadline deadline) {
  std::vector<StoredMessage> messages;
  messages.reserve(places.size());
  for (const RecordPlace& place : places) {
    auto message = read_cached_message(place);
    if (!message) break;
    if (!*message) co_return std::unexpected(std::move(message->error()));
    messages.push_back(std::move(**message));
  }
  if (messages.size() == places.size()) co_return messages;

  places.erase(places.begin(), places.begin() + static_cast<std::ptrdiff_t>(messages.size()));
  Job job{std::move(places), deadline, nullptr};
  Messages rest = co_await answer_of<Messages>([this, &job](Completion<Messages>& completion) {
    job.completion = &completion;
    submit(std::move(job));
  });
  if (!rest) co_return rest;
  std::move(rest->begin(), rest->end(), std::back_inserter(messages));
  co_return messages;
}

void ColdReader::submit(Job job) {
  Completion<Messages>& completion = *job.completion;
  bool full = false;
  {
    std::lock_guard lock(mutex_);
    full = jobs_.size() >= kMostJobs;
    if (!full) jobs_.push_back(std::move(job));
    if (!thread_.joinable()) thread_ = std::thread([this] { run(); });
  }
  if (full) {
    completion.complete(fail(Errc::unavailable, "the store's queue of reads is full"));
  } else {
    wake_.notify_one();
  }
}

void ColdReader::run() {
  while (true) {
    std::unique_lock lock(mutex_);
    wake_.wait(lock, [this] { return !jobs_.empty() || stop_; });
    if (jobs_.empty()) return;
    const Job job = std::move(jobs_.front());
    jobs_.pop_front();
    lock.unlock();
    job.completion->complete(read_all(job));
  }
}

ColdReader::Messages ColdReader::read_all(const Job& job) {
  if (job.deadline.passed()) {
    return fail(Errc::deadline_exceeded, "the deadline passed before the store began to read");
  }
  std::vector<StoredMessage> messages;
  messages.reserve(job.places.size());
  for (const RecordPlace& place : job.places) {
    auto message = read_message(place);
    if (!message) return std::unexpected(std::move(message.error()));
    messages.push_back(std::move(*message));
  }
  return messages;
}

}  // namespace mpr
