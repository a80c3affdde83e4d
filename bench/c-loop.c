/*
 * The bare C loop: the packets of a sweep and nothing else. One wildcard UDP socket sends a Binding request from each source
 * (IP_PKTINFO, sendmmsg, batches of 64), a responder thread on 127.0.0.1 answers with XOR-MAPPED-ADDRESS, and the prober
 * counts distinct answers with one bit a source. No verdicts, no keyed ids, no random order, no evidence, no receiver.
 *
 * It is written as one would write it for speed and plainly: batches, poll when there is nothing to do, buffers raised. It
 * does not spin, pin threads or raise priorities; neither does routepool.
 *
 * With THREADS above 1 each of so many probers has a socket and an equal part of the sources, and on loopback a responder of
 * its own. With SERVER there is no responder: that address is asked, at PORT.
 *
 * usage: c-loop FIRST COUNT [BATCH [WINDOW [THREADS [SERVER PORT]]]]   prints {"sources","answered","seconds","cpuSeconds"}
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>

#define MAX_BATCH 256
#define MAX_THREADS 64
#define COOKIE 0x2112a442u

static int batch = 64;

static void die(const char *what) {
    perror(what);
    exit(1);
}

static int udp_socket(const char *ip, int buffer) {
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    if (fd < 0) die("socket");
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof buffer) < 0)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer);
    if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &buffer, sizeof buffer) < 0)
        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof buffer);
    struct sockaddr_in address = {.sin_family = AF_INET};
    inet_pton(AF_INET, ip, &address.sin_addr);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0) die("bind");
    return fd;
}

static void *responder(void *argument) {
    int fd = *(int *)argument;
    static _Thread_local uint8_t in[MAX_BATCH][128], out[MAX_BATCH][32];
    static _Thread_local struct sockaddr_in names[MAX_BATCH];
    static _Thread_local struct iovec in_vec[MAX_BATCH], out_vec[MAX_BATCH];
    static _Thread_local struct mmsghdr in_msg[MAX_BATCH], out_msg[MAX_BATCH];
    for (int i = 0; i < batch; i++) {
        in_vec[i] = (struct iovec){in[i], sizeof in[i]};
        out_vec[i] = (struct iovec){out[i], 32};
        in_msg[i].msg_hdr = (struct msghdr){.msg_name = &names[i], .msg_iov = &in_vec[i], .msg_iovlen = 1};
        out_msg[i].msg_hdr = (struct msghdr){.msg_name = &names[i], .msg_namelen = sizeof names[i], .msg_iov = &out_vec[i], .msg_iovlen = 1};
    }
    for (;;) {
        for (int i = 0; i < batch; i++) in_msg[i].msg_hdr.msg_namelen = sizeof names[i];
        int got = recvmmsg(fd, in_msg, batch, MSG_DONTWAIT, NULL);
        if (got <= 0) {
            struct pollfd wait = {.fd = fd, .events = POLLIN};
            poll(&wait, 1, 1000);
            continue;
        }
        for (int i = 0; i < got; i++) {
            static const uint8_t head[] = {1, 1, 0, 12, 0x21, 0x12, 0xa4, 0x42};
            memcpy(out[i], head, 8);
            memcpy(out[i] + 8, in[i] + 8, 12);
            uint8_t attribute[] = {0, 0x20, 0, 8, 0, 1};
            memcpy(out[i] + 20, attribute, 6);
            uint16_t port = names[i].sin_port ^ htons(COOKIE >> 16);
            uint32_t ip = names[i].sin_addr.s_addr ^ htonl(COOKIE);
            memcpy(out[i] + 26, &port, 2);
            memcpy(out[i] + 28, &ip, 4);
        }
        for (int sent = 0; sent < got;) {
            int n = sendmmsg(fd, out_msg + sent, got - sent, 0);
            if (n > 0) sent += n;
            else if (errno != EAGAIN && errno != EINTR) sent++;
        }
    }
    return NULL;
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

/* Processor time of all threads so far, in the kernel and outside. */
static double cpu_seconds(void) {
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return used.ru_utime.tv_sec + used.ru_stime.tv_sec + (used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

/* The part of one thread. */
struct prober {
    uint32_t first, count, answered;
    int responder;
    struct sockaddr_in server; /* port 0: a responder of its own */
    pthread_t thread;
};

static uint32_t window = 2048;

static void *probe(void *argument) {
    struct prober *me = argument;
    uint32_t first = me->first, count = me->count;
    int fd = udp_socket("0.0.0.0", 4 << 20);
    int on = 1;
    if (setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof on) < 0) die("IP_PKTINFO");
    struct sockaddr_in to = me->server;
    if (!to.sin_port) {
        socklen_t length = sizeof to;
        me->responder = udp_socket("127.0.0.1", 4 << 20);
        getsockname(me->responder, (struct sockaddr *)&to, &length);
        pthread_t thread;
        if (pthread_create(&thread, NULL, responder, &me->responder)) die("pthread_create");
    }

    static _Thread_local uint8_t out[MAX_BATCH][20], in[MAX_BATCH][128];
    static _Thread_local union { struct cmsghdr header; uint8_t bytes[CMSG_SPACE(sizeof(struct in_pktinfo))]; } out_control[MAX_BATCH], in_control[MAX_BATCH];
    static _Thread_local struct sockaddr_in names[MAX_BATCH];
    static _Thread_local struct iovec out_vec[MAX_BATCH], in_vec[MAX_BATCH];
    static _Thread_local struct mmsghdr out_msg[MAX_BATCH], in_msg[MAX_BATCH];
    for (int i = 0; i < batch; i++) {
        static const uint8_t head[] = {0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42};
        memcpy(out[i], head, 8);
        out_vec[i] = (struct iovec){out[i], 20};
        in_vec[i] = (struct iovec){in[i], sizeof in[i]};
        out_control[i].header = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof(struct in_pktinfo)), .cmsg_level = IPPROTO_IP, .cmsg_type = IP_PKTINFO};
        out_msg[i].msg_hdr = (struct msghdr){.msg_name = &to, .msg_namelen = sizeof to, .msg_iov = &out_vec[i], .msg_iovlen = 1,
                                             .msg_control = &out_control[i], .msg_controllen = sizeof out_control[i]};
        in_msg[i].msg_hdr = (struct msghdr){.msg_name = &names[i], .msg_iov = &in_vec[i], .msg_iovlen = 1, .msg_control = &in_control[i]};
    }
    uint64_t *seen = calloc(count / 64 + 1, 8);
    uint32_t answered = 0, next = 0, in_flight = 0;
    double last = now();
    while (answered < count) {
        int progressed = 0;
        if (next < count && in_flight + batch <= window) {
            int n = 0;
            for (; n < batch && next < count; next++) {
                if (seen[next / 64] >> (next % 64) & 1) continue;
                uint32_t index = htonl(next);
                memcpy(out[n] + 8, &index, 4);
                struct in_pktinfo *info = (struct in_pktinfo *)CMSG_DATA(&out_control[n].header);
                info->ipi_spec_dst.s_addr = htonl(first + next);
                n++;
            }
            for (int sent = 0; sent < n;) {
                int done = sendmmsg(fd, out_msg + sent, n - sent, 0);
                if (done > 0) sent += done;
                else if (errno != EAGAIN && errno != EINTR) die("sendmmsg");
            }
            in_flight += n;
            progressed = n > 0;
        }
        for (int i = 0; i < batch; i++) {
            in_msg[i].msg_hdr.msg_namelen = sizeof names[i];
            in_msg[i].msg_hdr.msg_controllen = sizeof in_control[i];
        }
        int got = recvmmsg(fd, in_msg, batch, MSG_DONTWAIT, NULL);
        for (int i = 0; i < got; i++) {
            uint32_t index;
            memcpy(&index, in[i] + 8, 4);
            index = ntohl(index);
            if (in_msg[i].msg_len < 32 || index >= count) continue;
            if (seen[index / 64] >> (index % 64) & 1) continue;
            seen[index / 64] |= 1ull << (index % 64);
            answered++;
            if (in_flight) in_flight--;
        }
        if (got > 0) last = now();
        else if (!progressed) {
            if (now() - last > 0.2) {
                if (now() - last > 5) break;
                next = in_flight = 0; /* ask the missing again */
                continue;
            }
            struct pollfd wait = {.fd = fd, .events = POLLIN};
            poll(&wait, 1, 20);
        }
    }
    me->answered = answered;
    free(seen);
    return NULL;
}

int main(int argc, char **argv) {
    if (argc < 3) {
        fprintf(stderr, "usage: c-loop FIRST COUNT [BATCH [WINDOW [THREADS [SERVER PORT]]]]\n");
        return 2;
    }
    struct in_addr first_address;
    if (inet_pton(AF_INET, argv[1], &first_address) != 1) return 2;
    uint32_t first = ntohl(first_address.s_addr), count = strtoul(argv[2], NULL, 10);
    if (argc > 3) batch = atoi(argv[3]);
    if (batch < 1 || batch > MAX_BATCH) batch = 64;
    if (argc > 4) window = strtoul(argv[4], NULL, 10);
    int threads = argc > 5 ? atoi(argv[5]) : 1;
    if (threads < 1 || threads > MAX_THREADS) return 2;
    struct sockaddr_in server = {.sin_family = AF_INET};
    if (argc > 7) {
        if (inet_pton(AF_INET, argv[6], &server.sin_addr) != 1) return 2;
        server.sin_port = htons(atoi(argv[7]));
    }
    static struct prober probers[MAX_THREADS];
    double start = now(), cpu_start = cpu_seconds();
    uint32_t answered = 0;
    for (int i = 0; i < threads; i++) {
        uint32_t from = (uint64_t)count * i / threads, to = (uint64_t)count * (i + 1) / threads;
        probers[i] = (struct prober){.first = first + from, .count = to - from, .server = server};
        if (pthread_create(&probers[i].thread, NULL, probe, &probers[i])) die("pthread_create");
    }
    for (int i = 0; i < threads; i++) {
        pthread_join(probers[i].thread, NULL);
        answered += probers[i].answered;
    }
    double seconds = now() - start;
    double cpu = cpu_seconds() - cpu_start;
    printf("{\"sources\":%u,\"answered\":%u,\"seconds\":%.6f,\"cpuSeconds\":%.6f}\n", count, answered, seconds, cpu);
    return answered == count ? 0 : 1;
}
