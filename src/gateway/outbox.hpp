// What waits to be written to one socket: a queue of bytes in chunks. Small frames are appended to
// one chunk, large ones are kept as they came, so that they are not copied; a flush writes all
// chunks with one system call. An empty outbox holds next to no memory: buffers go back to a pool
// of the thread. Not thread-safe; the pool outlives its outboxes.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace mpr {

// Text that may go to several sockets, and is kept instead of copied when it is large.
using SharedText = std::shared_ptr<const std::string>;

// Buffers that outboxes of one thread use in turn.
class BufferPool {
 public:
  std::string take();
  void give_back(std::string buffer);

 private:
  std::vector<std::string> spare_;
};

class Outbox {
 public:
  explicit Outbox(BufferPool& pool) : pool_(pool) {}
  ~Outbox() { clear(); }
  Outbox(const Outbox&) = delete;
  Outbox& operator=(const Outbox&) = delete;

  // Lets `write` append to the buffer; it must do nothing but append.
  template <class Write>
  void append_with(Write&& write) {
    std::string& chunk = open_chunk();
    const std::size_t before = chunk.size();
    write(chunk);
    bytes_ += chunk.size() - before;
  }
  void append(std::string_view bytes);
  void append(SharedText text);

  std::size_t bytes() const noexcept { return bytes_; }
  bool empty() const noexcept { return bytes_ == 0; }
  void clear();

  enum class Progress { done, blocked, broken };
  // Writes as much as the socket takes; `written` is increased by that.
  Progress flush(int fd, std::size_t& written);

 private:
  struct Chunk {
    std::string own;
    SharedText shared;  // or this

    std::string_view view() const noexcept { return shared ? *shared : std::string_view(own); }
  };

  std::string& open_chunk();
  void consume(std::size_t count);

  BufferPool& pool_;
  std::vector<Chunk> chunks_;
  std::size_t first_ = 0;   // the chunk to be written next
  std::size_t offset_ = 0;  // what of it is written
  std::size_t bytes_ = 0;
};

}  // namespace mpr
