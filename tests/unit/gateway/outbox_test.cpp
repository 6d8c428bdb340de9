#include "gateway/outbox.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <string>

namespace mpr {
namespace {

// An outbox and both ends of its socket.
struct Bed {
  Bed() { EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds.data()), 0); }
  ~Bed() {
    for (const int fd : fds) {
      if (fd >= 0) ::close(fd);
    }
  }
  std::string receive() {
    std::string all;
    std::array<char, 65536> bytes;
    for (;;) {
      const ssize_t count = ::recv(fds[1], bytes.data(), bytes.size(), 0);
      if (count <= 0) return all;
      all.append(bytes.data(), static_cast<std::size_t>(count));
    }
  }

  std::array<int, 2> fds{};
  BufferPool pool;
  Outbox outbox{pool};
};

SharedText text_of(std::size_t size, char letter) {
  return std::make_shared<const std::string>(size, letter);
}

TEST(Outbox, WritesSmallAndLargePiecesInOrder) {
  Bed bed;
  bed.outbox.append("a");
  bed.outbox.append(text_of(20'000, 'b'));
  bed.outbox.append_with([](std::string& out) { out += "c"; });
  bed.outbox.append(text_of(10, 'd'));
  EXPECT_EQ(bed.outbox.bytes(), 20'012u);
  std::size_t written = 0;
  EXPECT_EQ(bed.outbox.flush(bed.fds[0], written), Outbox::Progress::done);
  EXPECT_EQ(written, 20'012u);
  EXPECT_EQ(bed.receive(), "a" + std::string(20'000, 'b') + "c" + std::string(10, 'd'));
  EXPECT_TRUE(bed.outbox.empty());
}

TEST(Outbox, KeepsLargeTextWithoutCopyingItAndLetsItGo) {
  Bed bed;
  const SharedText large = text_of(100'000, 'x');
  bed.outbox.append(large);
  EXPECT_EQ(large.use_count(), 2);
  std::size_t written = 0;
  while (bed.outbox.flush(bed.fds[0], written) == Outbox::Progress::blocked) bed.receive();
  EXPECT_EQ(large.use_count(), 1);
}

TEST(Outbox, GoesOnWhereTheSocketStopped) {
  Bed bed;
  std::string expected;
  for (int i = 0; i < 300; ++i) {
    const char letter = static_cast<char>('a' + i % 26);
    const std::size_t size = i % 3 == 0 ? 30'000 : 5'000;
    expected += std::string(size, letter);
    bed.outbox.append(text_of(size, letter));
  }
  std::string received;
  std::size_t written = 0;
  int blocked = 0;
  while (bed.outbox.flush(bed.fds[0], written) == Outbox::Progress::blocked) {
    ++blocked;
    EXPECT_EQ(bed.outbox.bytes(), expected.size() - written);
    received += bed.receive();
  }
  received += bed.receive();
  EXPECT_GT(blocked, 1);
  EXPECT_EQ(written, expected.size());
  EXPECT_TRUE(received == expected);
}

TEST(Outbox, SaysThatThePeerIsGone) {
  Bed bed;
  ::close(bed.fds[1]);
  bed.fds[1] = -1;
  bed.outbox.append("x");
  std::size_t written = 0;
  EXPECT_EQ(bed.outbox.flush(bed.fds[0], written), Outbox::Progress::broken);
  EXPECT_EQ(written, 0u);
}

TEST(BufferPool, KeepsAFewBuffersOfReasonableSize) {
  BufferPool pool;
  EXPECT_EQ(pool.take().capacity(), std::string().capacity());
  std::string large;
  large.reserve(10u << 20);
  pool.give_back(std::move(large));
  EXPECT_EQ(pool.take().capacity(), std::string().capacity());
  std::string usual = "used";
  usual.reserve(10'000);
  pool.give_back(std::move(usual));
  const std::string again = pool.take();
  EXPECT_GE(again.capacity(), 10'000u);
  EXPECT_EQ(again, "");
}

}  // namespace
}  // namespace mpr
