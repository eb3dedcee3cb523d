/* What the host lets its ranks use: cores, by binding and by quota, and memory. Read from Linux's own files
 * and calls; what is not there limits nothing. */
#ifndef TRM_ROWS_HOST_H
#define TRM_ROWS_HOST_H

#include <mpi.h>
#include <stdbool.h>
#include <stdint.h>

enum { TRM_HOST_CORES_MOST = 8192 };

/* A set of cores, by the kernel's numbers. */
typedef struct trm_core_set {
    unsigned long bits[TRM_HOST_CORES_MOST / (8 * sizeof(unsigned long))];
} trm_core_set;

int trm_core_set_count(const trm_core_set *set);
/* Adds what the calling thread may run on at this moment. */
void trm_core_set_add_thread(trm_core_set *set);

typedef struct trm_host {
    MPI_Comm comm; /* this host's ranks, by rank; the caller's to free */
    int ranks;
    int cores; /* of the host, whoever may use them */
    trm_core_set
        allowed; /* of them, this rank's: as it was started, whatever the OpenMP library bound since */
    int allowed_together; /* of them, those that any rank here may use */
    double share;         /* this rank's: a core that K ranks may use is 1/K core to each */
    double quota; /* cores' worth of time that control groups grant the ranks here together, or INFINITY */
} trm_host;

/* Collective on comm. */
void trm_host_look(MPI_Comm comm, trm_host *host);

/* The CPU quota in cores, or INFINITY: the least of the control groups that membership (as /proc/self/cgroup)
 * names and of those around them, version 2 or 1, found under mount (as /sys/fs/cgroup). Not collective. */
double trm_host_quota(const char *membership, const char *mount);

/* The CPUs that Slurm gives a task (--cpus-per-task), as its environment tells, or INFINITY: where Slurm binds no tasks,
 * nothing else tells. Not collective. */
double trm_host_slurm_cpus(void);

/* The bytes that control groups leave, or INFINITY; found as the quota is. Cache of files counts as left. Not
 * collective. */
double trm_host_group_memory(const char *membership, const char *mount);

/* The bytes that Slurm has granted the ranks here together, as its environment tells (--mem, --mem-per-cpu), or
 * INFINITY: where Slurm watches memory without control groups, nothing else tells. Not collective. */
double trm_host_slurm_memory(void);

/* What bounds a rank's memory, so what has to be raised. */
typedef enum trm_memory_bound {
    TRM_MEMORY_HOST,         /* what is free on the host */
    TRM_MEMORY_GROUP,        /* a control group: a container's limit, or systemd's */
    TRM_MEMORY_SLURM,        /* what Slurm granted, by its environment or by its control group */
    TRM_MEMORY_ADDRESS_SPACE /* ulimit -v */
} trm_memory_bound;

typedef struct trm_host_memory {
    int64_t a_rank; /* bytes that a rank may take */
    trm_memory_bound bound;
    int64_t left;    /* bytes of which it may take four fifths, shared among so many ranks */
    int64_t granted; /* the bound itself, of which some may be used: bytes; 0: nothing tells */
    int ranks;
    int cpus; /* where Slurm's grant goes by CPUs: how many it has here; else 0 */
} trm_host_memory;

/* Four fifths of what the host, its control group and Slurm's grant leave, shared among so many ranks here, or of what is
 * left of a rank's address space, whichever is less. Not collective. */
trm_host_memory trm_host_memory_look(int ranks);

/* Bytes that this process has in use, and the most that this program has had in use; 0: nothing tells. Not collective. */
int64_t trm_host_rss(void);
int64_t trm_host_rss_peak(void);

#endif
