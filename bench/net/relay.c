/* relay NS_A NS_B MBIT DELAY_US LOSS_PPM QUEUE_KB GSO SEED
 * A link between two network namespaces (TUN device "pb0" in each), made in user space because not every
 * kernel has netem: rate limit, one-way delay, random loss, tail-drop queue, each direction on its own.
 * GSO=1 passes 64 KB segments (cheap, for fast links without loss); GSO=0 gives real 1500-byte packets.
 * Not here: reordering, duplication, jitter; a home's wire has next to none. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>
typedef struct pkt { struct pkt *next; int64_t due, sent; int len; unsigned char d[]; } pkt;
static double mbit; static int64_t delay_ns; static uint32_t loss_ppm; static long qmax; static int gso;
struct dir { int in, out; uint64_t rng; unsigned long pkts, bytes, lost, dropped; } D[2];
static int64_t now(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec * 1000000000LL + t.tv_nsec; }
static int opentun(const char *ns) {
    char p[128];
    snprintf(p, sizeof p, "/run/netns/%s", ns);
    int n = open(p, O_RDONLY);
    if (n < 0 || setns(n, CLONE_NEWNET)) { perror(p); exit(1); }
    int f = open("/dev/net/tun", O_RDWR | O_NONBLOCK);
    struct ifreq r = {0};
    r.ifr_flags = IFF_TUN | IFF_NO_PI | (gso ? IFF_VNET_HDR : 0);
    strcpy(r.ifr_name, "pb0");
    if (f < 0 || ioctl(f, TUNSETIFF, &r)) { perror("tun"); exit(1); }
    if (gso && ioctl(f, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6)) { perror("offload"); exit(1); }
    return f;
}
static void *run(void *x) {
    struct dir *d = x;
    pkt *head = 0, *tail = 0, *sending = 0;      /* sending: first packet still counted in the queue */
    long queued = 0; int64_t line = 0;           /* line: when the sender's side of the wire is free */
    static __thread unsigned char buf[70000];
    prctl(PR_SET_TIMERSLACK, 1000);
    for (;;) {
        int64_t t = now();
        while (sending && sending->sent <= t) { queued -= sending->len; sending = sending->next; }
        while (head && head->due <= t) {
            if (head == sending) { queued -= head->len; sending = head->next; }
            pkt *p = head;
            if (write(d->out, p->d, p->len) < 0 && errno == EAGAIN) break;
            head = p->next; if (!head) tail = 0;
            d->pkts++; d->bytes += p->len; free(p);
        }
        struct pollfd f = {d->in, POLLIN, 0};
        struct timespec ts, *tp = 0;
        if (head) { int64_t w = head->due - now(); if (w < 0) w = 0; ts.tv_sec = w / 1000000000; ts.tv_nsec = w % 1000000000; tp = &ts; }
        if (ppoll(&f, 1, tp, 0) <= 0) continue;
        for (int i = 0; i < 64; i++) {
            int n = read(d->in, buf, sizeof buf);
            if (n <= 0) break;
            d->rng ^= d->rng << 13; d->rng ^= d->rng >> 7; d->rng ^= d->rng << 17;
            if (d->rng % 1000000 < loss_ppm) { d->lost++; continue; }
            if (queued + n > qmax) { d->dropped++; continue; }
            pkt *p = malloc(sizeof *p + n);
            int64_t t2 = now();
            long wire = n + (n / 1448 + 1) * (gso ? 66 : 26);   /* headers of each real packet */
            if (line < t2) line = t2;
            line += (int64_t)(wire * 8000.0 / mbit);
            p->sent = line; p->due = line + delay_ns; p->len = n; p->next = 0;
            memcpy(p->d, buf, n);
            if (tail) tail->next = p; else head = p;
            tail = p; if (!sending) sending = p;
            queued += n;
        }
    }
    return 0;
}
int main(int c, char **v) {
    if (c < 9) return 2;
    mbit = atof(v[3]); delay_ns = atoll(v[4]) * 1000; loss_ppm = atoi(v[5]); qmax = atol(v[6]) << 10; gso = atoi(v[7]);
    int a = opentun(v[1]), b = opentun(v[2]);
    D[0] = (struct dir){a, b, 88172645463325252ULL + atoi(v[8])};
    D[1] = (struct dir){b, a, 362436069362436069ULL + atoi(v[8])};
    puts("ready"); fflush(stdout);
    pthread_t t[2];
    for (int i = 0; i < 2; i++) pthread_create(&t[i], 0, run, &D[i]);
    char l[16];
    while (fgets(l, sizeof l, stdin)) {          /* any line on stdin: print the counters */
        for (int i = 0; i < 2; i++) printf("%lu %lu %lu %lu ", D[i].pkts, D[i].bytes, D[i].lost, D[i].dropped);
        puts(""); fflush(stdout);
    }
    return 0;
}
