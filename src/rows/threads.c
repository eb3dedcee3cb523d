/* The choice and the start of a rank's threads; see threads.h. */
#include "rows/threads.h"

#include <errno.h>
#include <math.h>
#include <omp.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the choice ---- */

/* The first number of OMP_NUM_THREADS, a list with commas; 0 where it is not set, or is no such list (of
 * which the OpenMP library has told, and which it ignores). */
static long long wished_in_environment(void)
{
    const char *at = getenv("OMP_NUM_THREADS");
    long long first = 0;
    while (at != NULL) {
        char *end = NULL;
        errno = 0;
        const long long number = strtoll(at, &end, 10);
        end += end == at ? 0 : strspn(end, " \t");
        if (end == at || (*end != '\0' && *end != ',') || (errno == 0 && number < 1))
            return 0;
        first = first == 0 ? number : first;
        at = *end == ',' ? end + 1 : NULL;
    }
    return first;
}

static trm_status refuse(const char *what, long long number, const trm_host *host, trm_error *err)
{
    return trm_fail(err, TRM_ERR_USAGE,
                    "%s%lld: a rank can have at most %d threads, and this host has %d cores", what, number,
                    TRM_THREADS_MOST, host->cores);
}

/* This rank's part of the cores, or of the quota or what Slurm gives a task where that is less; the note says of what. */
static int own_share(const trm_host *host, trm_threads *threads)
{
    const double quota = host->quota / host->ranks, task = trm_host_slurm_cpus();
    const int allowed = trm_core_set_count(&host->allowed);
    double cores = floor(host->share + 1e-9);
    if (task < fmin(cores, rint(quota))) {
        cores = task;
        snprintf(threads->note, sizeof threads->note, "SLURM_CPUS_PER_TASK=%.0f", task);
    } else if (rint(quota) < cores) {
        cores = rint(quota);
        snprintf(threads->note, sizeof threads->note, "the control group's CPU quota is %.3g cores",
                 host->quota);
    } else if (host->allowed_together < host->cores)
        snprintf(threads->note, sizeof threads->note,
                 "bound to %d of them, by mpirun (--bind-to none undoes it), Slurm, taskset or OMP_PLACES",
                 allowed);
    else
        snprintf(threads->note, sizeof threads->note, "%d ranks have equal parts", host->ranks);
    return cores > 1.0 ? (int)cores : 1;
}

trm_status trm_threads_choose(int asked, const trm_host *host, trm_threads *threads, trm_error *err)
{
    const long long wished = wished_in_environment();
    *threads = (trm_threads){.count = 1};
    if (asked > TRM_THREADS_MOST)
        return refuse("--threads ", asked, host, err);
    if (asked == 0 && wished > TRM_THREADS_MOST)
        return refuse("OMP_NUM_THREADS=", wished, host, err);
    if (asked > 0) {
        threads->count = asked;
        snprintf(threads->note, sizeof threads->note, "--threads %d", asked);
    } else if (wished > 0) {
        threads->count = (int)wished;
        snprintf(threads->note, sizeof threads->note, "OMP_NUM_THREADS=%s", getenv("OMP_NUM_THREADS"));
    } else
        threads->count = own_share(host, threads);
    if (omp_get_thread_limit() < threads->count) {
        threads->count = omp_get_thread_limit();
        snprintf(threads->note, sizeof threads->note, "OMP_THREAD_LIMIT=%d", threads->count);
    }
    return TRM_OK;
}

/* ---- the start ---- */

/* Starts the threads; how many there are, and where they may run. let_go: on all of the rank's cores, from
 * now on. */
static int start(const trm_host *host, int count, bool let_go, trm_core_set *where)
{
    int started = 1;
#pragma omp parallel num_threads(count)
    {
        if (let_go)
            sched_setaffinity(0, sizeof host->allowed, (const cpu_set_t *)(const void *)&host->allowed);
#pragma omp critical(trimine_start)
        trm_core_set_add_thread(where);
#pragma omp single
        started = omp_get_num_threads();
    }
    return started;
}

/* The cores that the threads of all ranks here may use together, and how many threads they are. Collective.
 */
static int cores_in_use(const trm_host *host, const trm_core_set *where, int count, int *threads)
{
    trm_core_set together = *where;
    *threads = count;
    MPI_Allreduce(MPI_IN_PLACE, &together, (int)(sizeof together / sizeof together.bits[0]),
                  MPI_UNSIGNED_LONG, MPI_BOR, host->comm);
    MPI_Allreduce(MPI_IN_PLACE, threads, 1, MPI_INT, MPI_SUM, host->comm);
    return trm_core_set_count(&together);
}

void trm_threads_start(const trm_host *host, trm_threads *threads)
{
    trm_core_set where = {{0}};
    int together = 0;
    omp_set_dynamic(0); /* or the library gives fewer threads where the host is busy */
    const int started = start(host, threads->count, false, &where);
    if (started < threads->count) {
        snprintf(threads->note, sizeof threads->note, "the OpenMP library gives no more than %d", started);
        threads->count = started;
    }
    const int used = cores_in_use(host, &where, threads->count, &together);
    const int usable = host->allowed_together;
    if (used < (together < usable ? together : usable))
        start(host, threads->count, true, &where);
    char why[TRM_THREADS_NOTE];
    snprintf(why, sizeof why, "%s", threads->note);
    threads->note[0] = '\0';
    const double room = fmin(usable, ceil(host->quota));
    if (together > room)
        snprintf(threads->note, sizeof threads->note,
                 "%d on %g of this host's %d cores, more than can run at once: %.120s", together, room,
                 host->cores, why);
    else if (together < host->cores)
        snprintf(threads->note, sizeof threads->note, "%d on a host of %d cores: %.150s", together,
                 host->cores, why);
}
