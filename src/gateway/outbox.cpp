#include "gateway/outbox.hpp"

#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

namespace mpr {

namespace {

constexpr std::size_t kChunkBytes = 64 * 1024;  // then the next chunk begins
constexpr std::size_t kCopiedBytes = 8 * 1024;  // a larger text is kept instead of copied
constexpr std::size_t kSpareBuffers = 8;
constexpr std::size_t kSpareBytes = 2 * kChunkBytes;  // a larger buffer is not kept
constexpr std::size_t kVectorsPerWrite = 64;

}  // namespace

std::string BufferPool::take() {
  if (spare_.empty()) return {};
  std::string buffer = std::move(spare_.back());
  spare_.pop_back();
  return buffer;
}

void BufferPool::give_back(std::string buffer) {
  if (spare_.size() >= kSpareBuffers || buffer.capacity() > kSpareBytes) return;
  buffer.clear();
  spare_.push_back(std::move(buffer));
}

std::string& Outbox::open_chunk() {
  if (chunks_.empty() || chunks_.back().shared != nullptr ||
      chunks_.back().own.size() >= kChunkBytes) {
    chunks_.push_back({.own = pool_.take(), .shared = nullptr});
  }
  return chunks_.back().own;
}

void Outbox::append(std::string_view bytes) {
  open_chunk().append(bytes);
  bytes_ += bytes.size();
}

void Outbox::append(SharedText text) {
  if (text->size() <= kCopiedBytes) return append(std::string_view(*text));
  bytes_ += text->size();
  chunks_.push_back({.own = {}, .shared = std::move(text)});
}

void Outbox::clear() {
  for (Chunk& chunk : chunks_) {
    if (chunk.own.capacity() > 0) pool_.give_back(std::move(chunk.own));
  }
  chunks_.clear();
  first_ = offset_ = bytes_ = 0;
}

Outbox::Progress Outbox::flush(int fd, std::size_t& written) {
  while (bytes_ > 0) {
    std::array<iovec, kVectorsPerWrite> vectors;
    const std::size_t count = std::min(chunks_.size() - first_, vectors.size());
    for (std::size_t i = 0; i < count; ++i) {
      std::string_view bytes = chunks_[first_ + i].view();
      if (i == 0) bytes.remove_prefix(offset_);
      vectors[i] = {.iov_base = const_cast<char*>(bytes.data()), .iov_len = bytes.size()};
    }
    msghdr message{};
    message.msg_iov = vectors.data();
    message.msg_iovlen = count;
    const ssize_t sent = ::sendmsg(fd, &message, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) {
      return errno == EAGAIN || errno == EWOULDBLOCK ? Progress::blocked : Progress::broken;
    }
    written += static_cast<std::size_t>(sent);
    consume(static_cast<std::size_t>(sent));
  }
  return Progress::done;
}

void Outbox::consume(std::size_t count) {
  bytes_ -= count;
  if (bytes_ == 0) return clear();
  count += offset_;
  while (count >= chunks_[first_].view().size()) {
    count -= chunks_[first_].view().size();
    Chunk& written = chunks_[first_++];
    if (written.own.capacity() > 0) pool_.give_back(std::move(written.own));
    written = {};
  }
  offset_ = count;
  // The slots of what was written go when they are the larger part: linear over all.
  if (first_ > 64 && first_ * 2 > chunks_.size()) {
    chunks_.erase(chunks_.begin(), chunks_.begin() + static_cast<std::ptrdiff_t>(first_));
    first_ = 0;
  }
}

}  // namespace mpr
