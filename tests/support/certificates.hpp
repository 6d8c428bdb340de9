// Certificates for tests of TLS, made anew each time: an authority and what it signs, as PEM files
// that go with it. Any thread, one at a time.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "tests/support/temporary_directory.hpp"

namespace mpr::test {

struct Identity {
  std::string certificate_file;
  std::string key_file;
};

class CertificateAuthority {
 public:
  explicit CertificateAuthority(const std::string& name);
  ~CertificateAuthority();
  CertificateAuthority(const CertificateAuthority&) = delete;
  CertificateAuthority& operator=(const CertificateAuthority&) = delete;

  std::string file() const { return path("authority.pem"); }
  // `names` as in "DNS:localhost,IP:127.0.0.1"; valid since two days ago, until then from now.
  Identity issue(const std::string& names,
                 std::chrono::seconds valid_for = std::chrono::hours(24)) const;

 private:
  struct Keys;
  std::string path(const std::string& name) const { return (directory_.path() / name).string(); }

  TemporaryDirectory directory_;
  std::unique_ptr<Keys> keys_;
  mutable int issued_ = 0;
};

}  // namespace mpr::test
