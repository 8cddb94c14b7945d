# Outbound requests by libcurl: apart from sp_net, so that neither has to see the other's headers.
add_library(sp_fetch STATIC ${CMAKE_CURRENT_LIST_DIR}/fetch.cc)
target_link_libraries(sp_fetch PUBLIC sallyport_flags sp_base PkgConfig::CURL)
if(SALLYPORT_TESTS)
  add_executable(fetch_test ${CMAKE_CURRENT_LIST_DIR}/fetch_test.cc)
  target_link_libraries(fetch_test PRIVATE sp_fetch OpenSSL::SSL GTest::gtest GTest::gmock GTest::gtest_main)
  add_test(NAME fetch_test COMMAND fetch_test)
endif()
