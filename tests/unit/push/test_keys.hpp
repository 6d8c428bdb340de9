// Fresh private keys in PEM form, as the providers' files hold them.
#pragma once

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include <memory>
#include <string>

namespace mpr::test {

inline std::string pem_of(EVP_PKEY* key) {
  const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> owned(key, &EVP_PKEY_free);
  const std::unique_ptr<BIO, decltype(&BIO_free)> out(BIO_new(BIO_s_mem()), &BIO_free);
  PEM_write_bio_PKCS8PrivateKey(out.get(), key, nullptr, nullptr, 0, nullptr, nullptr);
  char* bytes = nullptr;
  const long size = BIO_get_mem_data(out.get(), &bytes);
  return {bytes, static_cast<std::size_t>(size)};
}

inline const std::string& rsa_pem() {
  static const std::string pem = pem_of(EVP_RSA_gen(2048));
  return pem;
}
inline const std::string& p256_pem() {
  static const std::string pem = pem_of(EVP_EC_gen("P-256"));
  return pem;
}
inline const std::string& p384_pem() {
  static const std::string pem = pem_of(EVP_EC_gen("P-384"));
  return pem;
}

// As it stands within a JSON text.
inline std::string escaped(const std::string& pem) {
  std::string out;
  for (const char c : pem) c == '\n' ? out += "\\n" : out += c;
  return out;
}

}  // namespace mpr::test
