#include "store/redis/redirect.hpp"

#include <gtest/gtest.h>

namespace mpr::redis {
namespace {

using Kind = Redirect::Kind;

TEST(Redirect, ReadsWhatAnErrorAsksFor) {
  struct Case {
    std::string_view error;
    Kind kind;
    unsigned slot = 0;
    std::string_view host = "";
    unsigned port = 6379;
  };
  for (const Case& c : {
           Case{"MOVED 3999 127.0.0.1:6381", Kind::moved, 3999, "127.0.0.1", 6381},
           Case{"ASK 16383 redis.example:7", Kind::ask, 16383, "redis.example", 7},
           Case{"MOVED 1 ::1:7000", Kind::moved, 1, "::1", 7000},
           Case{"MOVED 1 [::1]:7000", Kind::moved, 1, "::1", 7000},
           Case{"MOVED 1 :7000", Kind::moved, 1, "", 7000},
           Case{"MOVED 1 ?:7000", Kind::moved, 1, "", 7000},
           Case{"MOVED", Kind::none},
           Case{"MOVED 16384 h:1", Kind::none},
           Case{"MOVED -1 h:1", Kind::none},
           Case{"MOVED x h:1", Kind::none},
           Case{"MOVED 1 h", Kind::none},
           Case{"MOVED 1 h:0", Kind::none},
           Case{"MOVED 1 h:65536", Kind::none},
           Case{"MOVED 1 h:", Kind::none},
           Case{"MOVEDX 1 h:1", Kind::none},
           Case{"TRYAGAIN Multiple keys request during rehashing of slot", Kind::again},
           Case{"CLUSTERDOWN Hash slot not served", Kind::again},
           Case{"CLUSTERDOWN The cluster is down", Kind::again},
           Case{"LOADING Redis is loading the dataset in memory", Kind::again},
           Case{"MASTERDOWN Link with MASTER is down", Kind::again},
           Case{"READONLY You can't write against a read only replica.", Kind::again},
           Case{"NOSCRIPT No matching script. Please use EVAL.", Kind::no_script},
           Case{"EXECABORT Transaction discarded because of previous errors.", Kind::aborted},
           Case{"ERR unknown command", Kind::none},
           Case{"OOM command not allowed", Kind::none},
           Case{"", Kind::none},
       }) {
    const Redirect redirect = redirect_of(c.error);
    EXPECT_EQ(redirect.kind, c.kind) << c.error;
    EXPECT_EQ(redirect.slot, c.slot) << c.error;
    if (c.kind == Kind::moved || c.kind == Kind::ask) {
      EXPECT_EQ(redirect.address.host, c.host) << c.error;
      EXPECT_EQ(redirect.address.port, c.port) << c.error;
    }
  }
}

}  // namespace
}  // namespace mpr::redis
