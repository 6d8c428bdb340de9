// Reads messages for io threads without making them wait for the disk: what is in memory is read at
// once, the rest by a thread of its own, which is started when it is first needed.
// Any executor thread may read. Whoever waits for an answer keeps the reader alive.
#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

#include "base/task.hpp"
#include "store/embedded/segment.hpp"

namespace mpr {

class ColdReader {
 public:
  ColdReader() = default;
  ~ColdReader();
  ColdReader(const ColdReader&) = delete;
  ColdReader& operator=(const ColdReader&) = delete;

  // The messages at these places, in their order, or the error of the first that cannot be read.
  Task<Result<std::vector<StoredMessage>>> read(std::vector<RecordPlace> places, Deadline deadline);

 private:
  using Messages = Result<std::vector<StoredMessage>>;
  struct Job {
    std::vector<RecordPlace> places;
    Deadline deadline;
    Completion<Messages>* completion = nullptr;
  };
  // More waiting jobs are refused: the disk cannot keep up.
  static constexpr std::size_t kMostJobs = 4096;

  void submit(Job job);
  void run();
  static Messages read_all(const Job& job);

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Job> jobs_;  // guarded by mutex_
  bool stop_ = false;     // guarded by mutex_
  std::thread thread_;    // started under mutex_
};

}  // namespace mpr
