// Sends equal HTTP/1.1 requests to 127.0.0.1 at moments that do not depend on the answers: gaps are
// exponential, as those of many clients that know nothing of each other (a Poisson process). What a
// request took counts from the moment that it was due, also where it had to wait for a connection.
//
// usage: paced-load PORT CONNECTIONS REQUESTS_PER_SECOND WARM_UP_SECONDS SECONDS SEED < request
// Prints one line of JSON. Ticks of whole milliseconds, as wrk and h2load have them, send a burst at
// each tick, and a queue of one's own making is measured then.

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { maxConnections = 1024, answerBytes = 65536, queueLength = 1 << 20 };
static const int64_t second = 1000000000, graceNs = 5000000000;

struct connection {
  int fd;
  int isBusy;
  int64_t dueAt;
  size_t length;
  char answer[answerBytes + 1];
};

static struct connection connections[maxConnections];
static int idle[maxConnections], idleCount, connectionCount, port, readiness;
static int64_t queue[queueLength];
static size_t queueHead, queueTail;
static char request[65536];
static size_t requestBytes;
static int64_t measureFromAt, *tookNs;
static size_t tookCount, tookRoom, failed;

static void die(const char *what) {
  perror(what);
  exit(1);
}

static int64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * second + time.tv_nsec;
}

static void sendOn(int index, int64_t dueAt) {
  struct connection *own = &connections[index];
  own->isBusy = 1;
  own->dueAt = dueAt;
  own->length = 0;
  // A request is far smaller than the buffer of an idle socket; a refusal shows when it is read.
  if (write(own->fd, request, requestBytes) != (ssize_t)requestBytes && errno == EAGAIN) die("write");
}

static void becomeIdle(int index) {
  connections[index].isBusy = 0;
  if (queueHead < queueTail) sendOn(index, queue[queueHead++ % queueLength]);
  else idle[idleCount++] = index;
}

static void openConnection(int index) {
  struct connection *own = &connections[index];
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  own->fd = socket(AF_INET, SOCK_STREAM, 0);
  if (own->fd < 0 || connect(own->fd, (struct sockaddr *)&address, sizeof address) < 0) die("connect");
  int yes = 1;
  setsockopt(own->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  fcntl(own->fd, F_SETFL, O_NONBLOCK);
  struct epoll_event event = {.events = EPOLLIN, .data.u32 = index};
  if (epoll_ctl(readiness, EPOLL_CTL_ADD, own->fd, &event) < 0) die("epoll_ctl");
  becomeIdle(index);
}

static void arrive(int64_t dueAt) {
  if (idleCount > 0) return sendOn(idle[--idleCount], dueAt);
  if (queueTail - queueHead == queueLength) die("too many requests wait");
  queue[queueTail++ % queueLength] = dueAt;
}

static void count(int64_t dueAt, int isGood) {
  if (dueAt < measureFromAt) return;
  if (!isGood) {
    failed += 1;
    return;
  }
  if (tookCount == tookRoom) {
    tookRoom = tookRoom == 0 ? 65536 : tookRoom * 2;
    tookNs = realloc(tookNs, tookRoom * sizeof *tookNs);
    if (tookNs == NULL) die("realloc");
  }
  tookNs[tookCount++] = now() - dueAt;
}

static void finish(int index, int isGood) {
  count(connections[index].dueAt, isGood);
  becomeIdle(index);
}

static int isWhole(const struct connection *own) {
  const char *end = strstr(own->answer, "\r\n\r\n");
  if (end == NULL) return 0;
  for (const char *line = own->answer; line < end; line = strstr(line, "\r\n") + 2) {
    if (strncasecmp(line, "content-length:", 15) == 0) {
      return own->length >= (size_t)(end + 4 - own->answer) + strtoul(line + 15, NULL, 10);
    }
  }
  return own->length >= 5 && memcmp(own->answer + own->length - 5, "0\r\n\r\n", 5) == 0;
}

static void reconnect(int index) {
  close(connections[index].fd);
  for (int at = 0; at < idleCount; at++) {
    if (idle[at] == index) idle[at] = idle[--idleCount];
  }
  if (connections[index].isBusy) count(connections[index].dueAt, 0);
  openConnection(index);
}

static void readFrom(int index) {
  struct connection *own = &connections[index];
  ssize_t bytes = read(own->fd, own->answer + own->length, answerBytes - own->length);
  if (bytes < 0 && errno == EAGAIN) return;
  if (bytes <= 0 || !own->isBusy) return reconnect(index);
  own->length += bytes;
  own->answer[own->length] = 0;
  if (isWhole(own)) finish(index, own->length > 9 && own->answer[9] == '2');
  else if (own->length == answerBytes) die("an answer is too large");
}

static void await(int64_t untilAt) {
  struct epoll_event events[64];
  int64_t waitNs = untilAt - now();
  if (waitNs < 0) waitNs = 0;
  struct timespec timeout = {.tv_sec = waitNs / second, .tv_nsec = waitNs % second};
  int ready = epoll_pwait2(readiness, events, 64, &timeout, NULL);
  if (ready < 0 && errno != EINTR) die("epoll_pwait2");
  for (int at = 0; at < ready; at++) readFrom(events[at].data.u32);
}

static int compare(const void *one, const void *other) {
  const int64_t left = *(const int64_t *)one, right = *(const int64_t *)other;
  return (left > right) - (left < right);
}

static double percentileUs(double share) {
  if (tookCount == 0) return 0;
  const size_t place = (size_t)ceil(tookCount * share);
  return tookNs[place == 0 ? 0 : place - 1] / 1000.0;
}

int main(int argumentCount, char **arguments) {
  if (argumentCount != 7) {
    fprintf(stderr, "usage: paced-load PORT CONNECTIONS REQUESTS_PER_SECOND WARM_UP_SECONDS SECONDS SEED\n");
    return 2;
  }
  port = atoi(arguments[1]);
  connectionCount = atoi(arguments[2]);
  const double perSecond = atof(arguments[3]), warmUp = atof(arguments[4]), lasting = atof(arguments[5]);
  if (connectionCount < 1 || connectionCount > maxConnections || perSecond <= 0) return 2;
  srand48(atol(arguments[6]));
  requestBytes = fread(request, 1, sizeof request, stdin);
  signal(SIGPIPE, SIG_IGN);
  // Wakes when it says, not up to 50 us later.
  prctl(PR_SET_TIMERSLACK, 1);
  readiness = epoll_create1(0);
  for (int index = 0; index < connectionCount; index++) openConnection(index);

  const int64_t startAt = now();
  measureFromAt = startAt + (int64_t)(warmUp * second);
  const int64_t endAt = measureFromAt + (int64_t)(lasting * second);
  int64_t dueAt = startAt;
  while (dueAt < endAt) {
    while (dueAt <= now() && dueAt < endAt) {
      arrive(dueAt);
      dueAt += (int64_t)(-log(1 - drand48()) / perSecond * second);
    }
    await(dueAt < endAt ? dueAt : endAt);
  }
  while (idleCount < connectionCount && now() < endAt + graceNs) await(endAt + graceNs);
  failed += connectionCount - idleCount + (queueTail - queueHead);

  qsort(tookNs, tookCount, sizeof *tookNs, compare);
  printf("{\"requests\":%zu,\"failed\":%zu,\"requestsPerSecond\":%.1f,\"p50Us\":%.1f,\"p99Us\":%.1f,\"p999Us\":%.1f}\n",
         tookCount + failed, failed, (tookCount + failed) / lasting, percentileUs(0.5), percentileUs(0.99),
         percentileUs(0.999));
}
