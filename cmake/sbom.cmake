# What the build is made of, as SPDX 2.3: lhttpd, and the libraries with the
# versions that pkg-config has found.  BearSSL has no version to be found.
string(TIMESTAMP created "%Y-%m-%dT%H:%M:%SZ" UTC) # or SOURCE_DATE_EPOCH's

# lhttpd_sbom_add(NAME VERSION LICENCE HOME): one package more, and that lhttpd
# is linked with it.
set(packages "")
set(relationships "")
function(lhttpd_sbom_add name version licence home)
    set(known "")
    if(version)
        set(known "\n      \"versionInfo\": \"${version}\",")
    endif()
    string(APPEND packages ",
    {
      \"SPDXID\": \"SPDXRef-${name}\",
      \"name\": \"${name}\",${known}
      \"downloadLocation\": \"${home}\",
      \"filesAnalyzed\": false,
      \"licenseConcluded\": \"NOASSERTION\",
      \"licenseDeclared\": \"${licence}\",
      \"copyrightText\": \"NOASSERTION\"
    }")
    string(APPEND relationships ",
    {
      \"spdxElementId\": \"SPDXRef-lhttpd\",
      \"relationshipType\": \"DEPENDS_ON\",
      \"relatedSpdxElement\": \"SPDXRef-${name}\"
    }")
    set(packages "${packages}" PARENT_SCOPE)
    set(relationships "${relationships}" PARENT_SCOPE)
endfunction()

if(LHTTPD_VM_NAME STREQUAL luajit)
    lhttpd_sbom_add(LuaJIT "${LHTTPD_VM_VERSION}" MIT https://luajit.org/)
else()
    lhttpd_sbom_add(Lua "${LHTTPD_VM_VERSION}" MIT https://www.lua.org/)
endif()
lhttpd_sbom_add(liburing "${LHTTPD_URING_VERSION}" "LGPL-2.1-or-later OR MIT"
    https://github.com/axboe/liburing)
if(LHTTPD_HTTP2)
    lhttpd_sbom_add(nghttp2 "${LHTTPD_NGHTTP2_VERSION}" MIT https://nghttp2.org/)
endif()
if(LHTTPD_TLS STREQUAL bearssl)
    lhttpd_sbom_add(BearSSL "" MIT https://bearssl.org/)
elseif(LHTTPD_TLS STREQUAL openssl)
    lhttpd_sbom_add(OpenSSL "${LHTTPD_OPENSSL_VERSION}" Apache-2.0
        https://www.openssl.org/)
endif()
string(UUID id NAMESPACE 6ba7b811-9dad-11d1-80b4-00c04fd430c8
    NAME "${PROJECT_VERSION} ${created} ${packages}" TYPE SHA1)
file(CONFIGURE OUTPUT lhttpd.spdx.json @ONLY CONTENT [[
{
  "spdxVersion": "SPDX-2.3",
  "dataLicense": "CC0-1.0",
  "SPDXID": "SPDXRef-DOCUMENT",
  "name": "lhttpd-@PROJECT_VERSION@",
  "documentNamespace": "https://spdx.org/spdxdocs/lhttpd-@PROJECT_VERSION@-@id@",
  "creationInfo": {
    "created": "@created@",
    "creators": ["Tool: lhttpd-cmake-@PROJECT_VERSION@"]
  },
  "packages": [
    {
      "SPDXID": "SPDXRef-lhttpd",
      "name": "lhttpd",
      "versionInfo": "@PROJECT_VERSION@",
      "downloadLocation": "NOASSERTION",
      "filesAnalyzed": false,
      "licenseConcluded": "BSD-2-Clause",
      "licenseDeclared": "BSD-2-Clause",
      "copyrightText": "Copyright (c) 2026, the lhttpd authors"
    }@packages@
  ],
  "relationships": [
    {
      "spdxElementId": "SPDXRef-DOCUMENT",
      "relationshipType": "DESCRIBES",
      "relatedSpdxElement": "SPDXRef-lhttpd"
    }@relationships@
  ]
}
]])
install(FILES ${PROJECT_BINARY_DIR}/lhttpd.spdx.json
    DESTINATION ${CMAKE_INSTALL_DATADIR}/lhttpd COMPONENT server)
