#include "tests/support/certificates.hpp"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <cstdio>
#include <stdexcept>

namespace mpr::test {
namespace {

struct Free {
  void operator()(EVP_PKEY* key) const { ::EVP_PKEY_free(key); }
  void operator()(X509* certificate) const { ::X509_free(certificate); }
  void operator()(X509_EXTENSION* extension) const { ::X509_EXTENSION_free(extension); }
  void operator()(std::FILE* file) const { std::fclose(file); }
};
using Key = std::unique_ptr<EVP_PKEY, Free>;
using Certificate = std::unique_ptr<X509, Free>;

constexpr long kTwoDays = 2 * 24 * 3600;

void require(bool holds, const char* what) {
  if (!holds) throw std::runtime_error(std::string("no test certificate: ") + what);
}

Key make_key() {
  Key key(EVP_EC_gen("P-256"));
  require(key != nullptr, "no key");
  return key;
}

void extend(X509& certificate, int kind, const std::string& value) {
  const std::unique_ptr<X509_EXTENSION, Free> extension(
      ::X509V3_EXT_conf_nid(nullptr, nullptr, kind, value.c_str()));
  require(extension != nullptr, value.c_str());
  require(::X509_add_ext(&certificate, extension.get(), -1) == 1, "no extension");
}

// Without an issuer and without a signature.
Certificate unsigned_certificate(const std::string& name, EVP_PKEY& key, long serial,
                                 long valid_for) {
  Certificate certificate(::X509_new());
  require(certificate != nullptr, "no memory");
  ::X509_set_version(certificate.get(), 2);
  ::ASN1_INTEGER_set(::X509_get_serialNumber(certificate.get()), serial);
  ::X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -kTwoDays);
  ::X509_gmtime_adj(X509_getm_notAfter(certificate.get()), valid_for);
  ::X509_set_pubkey(certificate.get(), &key);
  ::X509_NAME_add_entry_by_txt(::X509_get_subject_name(certificate.get()), "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
  return certificate;
}

void write_key(const std::string& path, EVP_PKEY& key) {
  const std::unique_ptr<std::FILE, Free> file(std::fopen(path.c_str(), "w"));
  require(file && ::PEM_write_PrivateKey(file.get(), &key, nullptr, nullptr, 0, nullptr, nullptr),
          path.c_str());
}

void write_certificate(const std::string& path, X509& certificate) {
  const std::unique_ptr<std::FILE, Free> file(std::fopen(path.c_str(), "w"));
  require(file && ::PEM_write_X509(file.get(), &certificate), path.c_str());
}

}  // namespace

struct CertificateAuthority::Keys {
  Key key;
  Certificate certificate;
};

CertificateAuthority::CertificateAuthority(const std::string& name) {
  keys_ = std::make_unique<Keys>();
  keys_->key = make_key();
  keys_->certificate = unsigned_certificate(name, *keys_->key, 1, kTwoDays);
  X509* certificate = keys_->certificate.get();
  extend(*certificate, NID_basic_constraints, "critical,CA:TRUE");
  ::X509_set_issuer_name(certificate, ::X509_get_subject_name(certificate));
  require(::X509_sign(certificate, keys_->key.get(), ::EVP_sha256()) > 0, "not signed");
  write_certificate(file(), *certificate);
}

CertificateAuthority::~CertificateAuthority() = default;

Identity CertificateAuthority::issue(const std::string& names,
                                     std::chrono::seconds valid_for) const {
  const int serial = ++issued_ + 1;
  const Key key = make_key();
  const Certificate certificate = unsigned_certificate("test", *key, serial, valid_for.count());
  extend(*certificate, NID_subject_alt_name, names);
  ::X509_set_issuer_name(certificate.get(), ::X509_get_subject_name(keys_->certificate.get()));
  require(::X509_sign(certificate.get(), keys_->key.get(), ::EVP_sha256()) > 0, "not signed");
  const Identity identity{path(std::to_string(serial) + ".pem"),
                          path(std::to_string(serial) + ".key")};
  write_certificate(identity.certificate_file, *certificate);
  write_key(identity.key_file, *key);
  return identity;
}

}  // namespace mpr::test
