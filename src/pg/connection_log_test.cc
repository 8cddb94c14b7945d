#include "pg/connection_log.h"

#include <gtest/gtest.h>

namespace sallyport::pg {
namespace {

TEST(ConnectionLog, ReadsTheStandardForms) {
  ConnectionLog log;
  EXPECT_FALSE(log.Take(
      "2026-11-22 11:50:01.123 UTC [812] LOG:  connection received: host=10.0.0.9 port=50123"));
  auto a = log.Take(
      "2026-11-22 11:50:01.250 UTC [812] LOG:  connection authorized: user=app database=shop "
      "application_name=psql SSL enabled (protocol=TLSv1.3, cipher=TLS_AES_256_GCM_SHA384, "
      "bits=256)\r");
  ASSERT_TRUE(a);
  EXPECT_EQ(a->line, 2u);
  EXPECT_EQ(a->pid, 812u);
  EXPECT_EQ(a->host, "10.0.0.9");
  EXPECT_EQ(a->port, "50123");
  EXPECT_EQ(a->user, "app");
  EXPECT_EQ(a->database, "shop");
  EXPECT_EQ(a->application, "psql");
  EXPECT_EQ(a->at, 1'795'348'201'250'000'000);

  auto b = log.Take(
      "2026-11-22 11:50:02 UTC [813]: [1-1] user=app,db=shop,app=[unknown],client=10.0.0.9 LOG:  "
      "connection authorized: user=two words database=the shop");
  ASSERT_TRUE(b);
  EXPECT_EQ(b->pid, 813u);
  EXPECT_EQ(b->user, "two words");
  EXPECT_EQ(b->database, "the shop");
  EXPECT_EQ(b->host, "");  // nothing was received with this process id

  auto c = log.Take(
      "2026-11-22 11:50:03 UTC:10.0.0.9(50124):app@shop:[814]:LOG:  replication connection "
      "authorized: user=copier application_name=pg_basebackup");
  ASSERT_TRUE(c);
  EXPECT_TRUE(c->replication);
  EXPECT_EQ(c->pid, 814u);
  EXPECT_EQ(c->user, "copier");

  EXPECT_FALSE(log.Take(
      R"({"timestamp":"2026-11-22 11:50:04.000 UTC","pid":815,"message":"connection received: host=[local]"})"));
  auto d = log.Take(
      R"({"timestamp":"2026-11-22 11:50:04.000 UTC","pid":815,"message":"connection authorized: user=app database=shop"})");
  ASSERT_TRUE(d);
  EXPECT_EQ(d->pid, 815u);
  EXPECT_EQ(d->host, "[local]");
  EXPECT_EQ(log.authorized(), 4u);
}

TEST(ConnectionLog, IsNotToldByWhatClientsWrite) {
  ConnectionLog log;
  // A statement, a continuation line, a name: none of it is the server's own word.
  EXPECT_FALSE(log.Take(
      "2026-11-22 11:50:01 UTC [9] STATEMENT:  select 'connection authorized: user=a database=b'"));
  EXPECT_FALSE(log.Take("\tconnection authorized: user=a database=b"));
  EXPECT_FALSE(log.Take(
      "2026-11-22 11:50:01 UTC [9] ERROR:  x LOG: connection authorized: user=a database=b"));
  auto one = log.Take(
      "2026-11-22 11:50:01 UTC [9] LOG:  connection authorized: user=a database=b "
      "application_name=connection authorized: user=x database=y");
  ASSERT_TRUE(one);
  EXPECT_EQ(one->user, "a");
  EXPECT_EQ(one->database, "b");
  for (const char* broken :
       {"", "{", "{}", "[", "LOG:  ", "LOG:  connection received: host=", "[[[[1"}) {
    EXPECT_FALSE(log.Take(broken)) << broken;
  }
  auto bare = log.Take("LOG:  connection authorized: user=");
  ASSERT_TRUE(bare);
  EXPECT_EQ(bare->pid, 0u);
  EXPECT_FALSE(bare->at);
}

TEST(ConnectionLog, ATimeInAnotherZoneIsNoTime) {
  ConnectionLog log;
  auto one = log.Take("2026-11-22 11:50:01 CET [9] LOG:  connection authorized: user=a database=b");
  ASSERT_TRUE(one);
  EXPECT_FALSE(one->at);
}

}  // namespace
}  // namespace sallyport::pg
