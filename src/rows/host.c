/* Cores and memory of a host; see host.h. */
#include "rows/host.h"

#include "base/alloc.h"

#include <inttypes.h>
#include <math.h>
#include <omp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* ---- cores ---- */

static cpu_set_t *kernels(const trm_core_set *set)
{
    return (cpu_set_t *)(uintptr_t)set;
}

int trm_core_set_count(const trm_core_set *set)
{
    return CPU_COUNT_S(sizeof *set, kernels(set));
}

void trm_core_set_add_thread(trm_core_set *set)
{
    trm_core_set now = {{0}};
    if (sched_getaffinity(0, sizeof now, kernels(&now)) == 0)
        CPU_OR_S(sizeof *set, kernels(set), kernels(set), kernels(&now));
}

/* With OMP_PROC_BIND, OMP_PLACES or GOMP_CPU_AFFINITY the OpenMP library binds the first thread to its first
 * place before main begins. All its places together are what the process had, or what the user left of it. */
static void add_places(trm_core_set *set)
{
    const int places = omp_get_num_places();
    const long there = sysconf(_SC_NPROCESSORS_CONF); /* a list of places may go on beyond */
    for (int place = 0; place < places; place++) {
        const int count = omp_get_place_num_procs(place);
        int *ids = trm_alloc(count, sizeof *ids);
        if (ids == NULL)
            return;
        omp_get_place_proc_ids(place, ids);
        for (int i = 0; i < count; i++)
            if (ids[i] >= 0 && ids[i] < TRM_HOST_CORES_MOST && ids[i] < there)
                CPU_SET_S((size_t)ids[i], sizeof *set, kernels(set));
        trm_free(ids);
    }
}

/* Collective on host->comm. */
static void share_cores(trm_host *host)
{
    static const int most = TRM_HOST_CORES_MOST;
    int users[TRM_HOST_CORES_MOST];
    for (int i = 0; i < most; i++)
        users[i] = CPU_ISSET_S((size_t)i, sizeof host->allowed, kernels(&host->allowed)) ? 1 : 0;
    MPI_Allreduce(MPI_IN_PLACE, users, most, MPI_INT, MPI_SUM, host->comm);
    host->share = 0.0;
    host->allowed_together = 0;
    for (int i = 0; i < most; i++) {
        host->allowed_together += users[i] > 0;
        if (CPU_ISSET_S((size_t)i, sizeof host->allowed, kernels(&host->allowed)))
            host->share += 1.0 / users[i];
    }
}

void trm_host_look(MPI_Comm comm, trm_host *host)
{
    *host = (trm_host){.cores = (int)sysconf(_SC_NPROCESSORS_ONLN)};
    MPI_Comm_split_type(comm, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &host->comm);
    MPI_Comm_size(host->comm, &host->ranks);
    trm_core_set_add_thread(&host->allowed);
    add_places(&host->allowed);
    share_cores(host);
    host->quota = trm_host_quota("/proc/self/cgroup", "/sys/fs/cgroup");
}

/* ---- control groups ---- */

enum { PATH_MOST = 4096 };

/* A number in a file, after a prefix; -1 where there is none ("max"). */
static int64_t number_in(const char *path, const char *format)
{
    int64_t number = -1;
    char line[256];
    FILE *file = fopen(path, "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        if (sscanf(line, format, &number) == 1)
            break;
    if (file != NULL)
        fclose(file);
    return number;
}

/* Is name one of the words of a list with commas? */
static bool has_word(const char *list, const char *name)
{
    const size_t length = strlen(name);
    for (const char *word = list; *word != '\0'; word += strcspn(word, ",") + (strchr(word, ',') != NULL))
        if (strncmp(word, name, length) == 0 && (word[length] == ',' || word[length] == '\0'))
            return true;
    return false;
}

/* The group of a controller ("" for version 2): "" where membership does not name it, else "/...". */
static void find_group(const char *membership, const char *controller, char group[PATH_MOST])
{
    char line[PATH_MOST];
    FILE *file = fopen(membership, "r");
    group[0] = '\0';
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        char *list = strchr(line, ':'), *path = list == NULL ? NULL : strchr(list + 1, ':');
        if (path == NULL)
            continue;
        *path++ = '\0';
        path[strcspn(path, "\n")] = '\0';
        if (controller[0] == '\0' ? list[1] == '\0' : has_word(list + 1, controller))
            snprintf(group, PATH_MOST, "%s", path);
    }
    if (file != NULL)
        fclose(file);
}

/* What one group's files say; INFINITY where they set no limit. */
typedef double (*group_limit)(const char *folder);

/* The least of a group's limit and of those around it, up to the mount itself: in a container that is often
 * the group that counts, and the path that the kernel tells is not there. */
static double least_around(const char *mount, const char *below, const char *group, group_limit limit)
{
    char path[PATH_MOST], folder[2 * PATH_MOST];
    double least = INFINITY;
    snprintf(path, sizeof path, "%s", group);
    while (true) {
        snprintf(folder, sizeof folder, "%s%s%s", mount, below, path);
        least = fmin(least, limit(folder));
        char *last = strrchr(path, '/');
        if (last == NULL)
            return least;
        *last = '\0';
    }
}

static double quota_of(double quota, double period)
{
    return quota > 0.0 && period > 0.0 ? quota / period : INFINITY;
}

static double quota_2(const char *folder)
{
    char path[3 * PATH_MOST];
    snprintf(path, sizeof path, "%s/cpu.max", folder);
    return quota_of((double)number_in(path, "%" SCNd64), (double)number_in(path, "%*s %" SCNd64));
}

static double quota_1(const char *folder)
{
    char quota[3 * PATH_MOST], period[3 * PATH_MOST];
    snprintf(quota, sizeof quota, "%s/cpu.cfs_quota_us", folder);
    snprintf(period, sizeof period, "%s/cpu.cfs_period_us", folder);
    return quota_of((double)number_in(quota, "%" SCNd64), (double)number_in(period, "%" SCNd64));
}

double trm_host_quota(const char *membership, const char *mount)
{
    char group[PATH_MOST];
    find_group(membership, "", group);
    double least = least_around(mount, "", group, quota_2);
    find_group(membership, "cpu", group);
    least = fmin(least, least_around(mount, "/cpu", group, quota_1));
    return fmin(least, least_around(mount, "/cpu,cpuacct", group, quota_1));
}

/* ---- what Slurm tells ---- */

/* A whole number above 0 in the environment, else 0. */
static double number_told(const char *name)
{
    const char *text = getenv(name);
    char *end = NULL;
    const double number = text == NULL ? 0.0 : (double)strtoll(text, &end, 10);
    return text != NULL && end != text && *end == '\0' && number > 0.0 ? number : 0.0;
}

static bool in_slurm_job(void)
{
    return getenv("SLURM_JOB_ID") != NULL;
}

double trm_host_slurm_cpus(void)
{
    const double cpus = number_told("SLURM_CPUS_PER_TASK");
    return in_slurm_job() && cpus > 0.0 ? cpus : INFINITY;
}

/* ---- memory ---- */

/* What a version of control groups calls the files and the lines that tell of memory. */
typedef struct group_words {
    const char *most, *used, *inactive, *active;
} group_words;

static int64_t number_of_group(const char *folder, const char *file, const char *form)
{
    char path[3 * PATH_MOST];
    snprintf(path, sizeof path, "%s/%s", folder, file);
    return number_in(path, form);
}

/* What a group has left. Cache of files counts as used there, but the kernel gives it up when memory is asked for: a job
 * that has just read a large store is not a job without memory. */
static double left_of(const char *folder, const group_words *words)
{
    const int64_t most = number_of_group(folder, words->most, "%" SCNd64),
                  used = number_of_group(folder, words->used, "%" SCNd64);
    if (most < 0 || used < 0)
        return INFINITY;
    const int64_t idle = number_of_group(folder, "memory.stat", words->inactive),
                  recent = number_of_group(folder, "memory.stat", words->active);
    const double cache = (double)(idle > 0 ? idle : 0) + (double)(recent > 0 ? recent : 0);
    return fmin((double)most, (double)most - (double)used + cache);
}

static double memory_2(const char *folder)
{
    static const group_words words = {"memory.max", "memory.current", "inactive_file %" SCNd64,
                                      "active_file %" SCNd64};
    return left_of(folder, &words);
}

static double memory_1(const char *folder)
{
    static const group_words words = {"memory.limit_in_bytes", "memory.usage_in_bytes",
                                      "total_inactive_file %" SCNd64, "total_active_file %" SCNd64};
    return left_of(folder, &words);
}

double trm_host_group_memory(const char *membership, const char *mount)
{
    char group[PATH_MOST];
    find_group(membership, "", group);
    const double least = least_around(mount, "", group, memory_2);
    find_group(membership, "memory", group);
    return fmin(least, least_around(mount, "/memory", group, memory_1));
}

/* CPUs that --mem-per-cpu counts, where the grant goes by them; else 0. */
static double cpus_counted(void)
{
    return number_told("SLURM_MEM_PER_NODE") > 0.0 || number_told("SLURM_MEM_PER_CPU") <= 0.0
               ? 0.0
               : number_told("SLURM_CPUS_ON_NODE");
}

double trm_host_slurm_memory(void)
{
    const double node = number_told("SLURM_MEM_PER_NODE"),
                 cpus = number_told("SLURM_MEM_PER_CPU") * cpus_counted();
    const double megabytes = node > 0.0 ? node : cpus;
    return in_slurm_job() && megabytes > 0.0 ? megabytes * 1048576.0 : INFINITY;
}

/* What all ranks here share. */
static trm_host_memory shared_memory(int ranks)
{
    const double group = trm_host_group_memory("/proc/self/cgroup", "/sys/fs/cgroup"),
                 slurm = trm_host_slurm_memory(), least = fmin(group, slurm);
    const int64_t free_bytes = number_in("/proc/meminfo", "MemAvailable: %" SCNd64 " kB") * 1024;
    trm_host_memory memory = {.left = free_bytes, .ranks = ranks};
    if (least < (double)free_bytes) {
        memory.left = (int64_t)least;
        memory.bound = in_slurm_job() ? TRM_MEMORY_SLURM : TRM_MEMORY_GROUP;
    }
    if (memory.bound == TRM_MEMORY_SLURM && slurm < INFINITY) {
        memory.granted = (int64_t)slurm;
        memory.cpus = (int)cpus_counted();
    }
    memory.a_rank = memory.left / 5 * 4 / ranks;
    return memory;
}

trm_host_memory trm_host_memory_look(int ranks)
{
    struct rlimit limit;
    trm_host_memory memory = shared_memory(ranks);
    if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY) {
        const int64_t used = number_in("/proc/self/statm", "%" SCNd64) * sysconf(_SC_PAGESIZE),
                      space = (int64_t)limit.rlim_cur - used;
        if (space / 5 * 4 < memory.a_rank)
            memory = (trm_host_memory){.a_rank = space / 5 * 4,
                                       .bound = TRM_MEMORY_ADDRESS_SPACE,
                                       .left = space,
                                       .granted = (int64_t)limit.rlim_cur,
                                       .ranks = 1};
    }
    memory.a_rank = memory.a_rank > 0 ? memory.a_rank : 1;
    return memory;
}

int64_t trm_host_rss(void)
{
    const int64_t pages = number_in("/proc/self/statm", "%*s %" SCNd64);
    return pages > 0 ? pages * sysconf(_SC_PAGESIZE) : 0;
}

/* Linux hands ru_maxrss on to the program that a process becomes, so there the peak of whoever started this one would be in it: of a
 * Python process with all its arrays. */
int64_t trm_host_rss_peak(void)
{
    const int64_t kilobytes = number_in("/proc/self/status", "VmHWM: %" SCNd64 " kB");
    struct rusage usage;
    if (kilobytes > 0)
        return 1024 * kilobytes;
    return getrusage(RUSAGE_SELF, &usage) == 0 ? 1024 * (int64_t)usage.ru_maxrss : 0;
}
