/* runx: small launcher, so that the peak RSS that wait4 reports is the program's own and not the harness's.
 *   runx run  [-n NETNS] [-g CGROUP_DIR]... -o FILE -- ARGV      fork, wait, write one JSON line of rusage
 *   runx exec [-n NETNS] [-g CGROUP_DIR]... -- ARGV              become ARGV (for daemons)
 *   runx inetd [-n NETNS] [-g CGROUP_DIR]... -o FILE -l ADDR:PORT -- ARGV
 *        one ARGV per TCP connection with stdin/stdout = socket; FILE gets "start PID" and a JSON line at each end
 * Not here: what a daemon uses while it runs (measure/clocks.py). */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
static const char *out;
static double now(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec + t.tv_nsec / 1e9; }
static void note(const char *s) {
    int f = open(out, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (write(f, s, strlen(s)) < 0) {}
    close(f);
}
static void report(pid_t p, int st, struct rusage *u, double wall) {
    char b[512];
    snprintf(b, sizeof b,
             "{\"pid\": %d, \"rc\": %d, \"wall\": %.4f, \"user\": %.4f, \"sys\": %.4f, \"maxrss_kb\": %ld, "
             "\"in_blocks\": %ld, \"out_blocks\": %ld, \"majflt\": %ld, \"nvcsw\": %ld}\n",
             p, WIFEXITED(st) ? WEXITSTATUS(st) : 128 + WTERMSIG(st), wall,
             u->ru_utime.tv_sec + u->ru_utime.tv_usec / 1e6, u->ru_stime.tv_sec + u->ru_stime.tv_usec / 1e6,
             u->ru_maxrss, u->ru_inblock, u->ru_oublock, u->ru_majflt, u->ru_nvcsw);
    note(b);
}
int main(int c, char **v) {
    const char *mode = v[1], *listen_at = 0;
    int i = 2;
    for (; i < c && strcmp(v[i], "--"); i += 2) {
        if (!strcmp(v[i], "-n")) {
            char p[200];
            snprintf(p, sizeof p, "/run/netns/%s", v[i + 1]);
            int f = open(p, O_RDONLY | O_CLOEXEC);
            if (f < 0 || setns(f, CLONE_NEWNET)) { perror(p); return 125; }
            close(f);
        } else if (!strcmp(v[i], "-g")) {
            char p[300], b[20];
            snprintf(p, sizeof p, "%s/cgroup.procs", v[i + 1]);
            int f = open(p, O_WRONLY | O_CLOEXEC);
            snprintf(b, sizeof b, "%d", getpid());
            if (f < 0 || write(f, b, strlen(b)) < 0) { perror(p); return 125; }
            close(f);
        } else if (!strcmp(v[i], "-o")) out = v[i + 1];
        else if (!strcmp(v[i], "-l")) listen_at = v[i + 1];
    }
    char **argv = v + i + 1;
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (!strcmp(mode, "exec")) { execvp(argv[0], argv); perror(argv[0]); return 127; }
    if (!strcmp(mode, "run")) {
        double t = now();
        pid_t p = fork();
        if (!p) { prctl(PR_SET_PDEATHSIG, SIGTERM); execvp(argv[0], argv); perror(argv[0]); _exit(127); }
        struct rusage u; int st;
        while (wait4(p, &st, 0, &u) < 0 && errno == EINTR) {}
        report(p, st, &u, now() - t);
        return WIFEXITED(st) ? WEXITSTATUS(st) : 128;
    }
    char host[64]; snprintf(host, sizeof host, "%s", listen_at);
    char *colon = strrchr(host, ':'); *colon = 0;
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(atoi(colon + 1))};
    inet_pton(AF_INET, host, &a.sin_addr);
    int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
    setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(s, (void *)&a, sizeof a) || listen(s, 16)) { perror("listen"); return 1; }
    struct { pid_t p; double t; } live[64] = {0};
    for (;;) {
        struct pollfd f = {s, POLLIN, 0};
        int r = poll(&f, 1, 20);
        struct rusage u; int st; pid_t p;
        while ((p = wait4(-1, &st, WNOHANG, &u)) > 0)
            for (int k = 0; k < 64; k++)
                if (live[k].p == p) { report(p, st, &u, now() - live[k].t); live[k].p = 0; }
        if (r <= 0) continue;
        int k = accept4(s, 0, 0, SOCK_CLOEXEC);
        if (k < 0) continue;
        setsockopt(k, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        if (!(p = fork())) {
            prctl(PR_SET_PDEATHSIG, SIGTERM);
            dup2(k, 0); dup2(k, 1);
            execvp(argv[0], argv); _exit(127);
        }
        close(k);
        char b[40]; snprintf(b, sizeof b, "start %d\n", p); note(b);
        for (int j = 0; j < 64; j++) if (!live[j].p) { live[j].p = p; live[j].t = now(); break; }
    }
}
