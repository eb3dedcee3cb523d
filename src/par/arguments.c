/* Checking arguments; see arguments.h. */
#include "par/arguments.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#undef trm_arguments_agree

static void add(trm_arguments *list, trm_argument argument)
{
    assert(list->count < TRM_ARGUMENTS_MOST);
    argument.owner = list->owner != NULL ? list->owner : "";
    list->argument[list->count++] = argument;
}

void trm_arguments_enum(trm_arguments *list, const char *name, const char *type, unsigned value,
                        unsigned last)
{
    add(list, (trm_argument){.name = name, .type = type, .word = value, .most = last});
}

void trm_arguments_whole(trm_arguments *list, const char *name, int64_t value, int64_t least, int64_t most)
{
    add(list, (trm_argument){.name = name, .word = value, .least = least, .most = most});
}

void trm_arguments_real(trm_arguments *list, const char *name, double value)
{
    trm_argument argument = {.name = name, .real = true};
    memcpy(&argument.word, &value, sizeof value);
    add(list, argument);
}

static double real_of(int64_t word)
{
    double value;
    memcpy(&value, &word, sizeof value);
    return value;
}

static trm_status check_range(const trm_argument *a, trm_error *err)
{
    if (a->real) {
        const double value = real_of(a->word);
        if (isfinite(value) && value >= 0.0)
            return TRM_OK;
        return trm_fail(err, TRM_ERR_USAGE, "%s%s %g: must be a finite number, 0 or more", a->owner, a->name,
                        value);
    }
    if (a->word >= a->least && a->word <= a->most)
        return TRM_OK;
    if (a->type != NULL)
        return trm_fail(err, TRM_ERR_USAGE, "%s%s %" PRId64 ": must be a %s, 0 to %" PRId64, a->owner,
                        a->name, a->word, a->type, a->most);
    if (a->word < a->least)
        return trm_fail(err, TRM_ERR_USAGE, "%s%s %" PRId64 ": must be at least %" PRId64, a->owner, a->name,
                        a->word, a->least);
    return trm_fail(err, TRM_ERR_USAGE, "%s%s %" PRId64 ": must be at most %" PRId64, a->owner, a->name,
                    a->word, a->most);
}

static void print_word(const trm_argument *a, int64_t word, char text[32])
{
    if (a->real)
        snprintf(text, 32, "%.17g", real_of(word));
    else
        snprintf(text, 32, "%" PRId64, word);
}

static trm_status check_equal(const trm_argument *a, int64_t first, int rank, trm_error *err)
{
    char here[32], there[32];
    if (a->word == first)
        return TRM_OK;
    print_word(a, a->word, here);
    print_word(a, first, there);
    return trm_fail(err, TRM_ERR_USAGE, "%s%s: %s on rank %d, %s on rank 0: must be equal on all ranks",
                    a->owner, a->name, here, rank, there);
}

trm_status trm_arguments_agree(MPI_Comm comm, const trm_arguments *list, trm_status local, trm_error *err)
{
    int64_t first[TRM_ARGUMENTS_MOST] = {0};
    int rank = 0;
    trm_status status = TRM_OK;
    MPI_Comm_rank(comm, &rank);
    for (int k = 0; k < list->count; k++)
        first[k] = list->argument[k].word;
    MPI_Bcast(first, list->count, MPI_INT64_T, 0, comm);
    for (int k = 0; k < list->count && status == TRM_OK && local == TRM_OK; k++)
        status = check_range(&list->argument[k], err);
    status = local != TRM_OK ? local : status;
    for (int k = 0; k < list->count && status == TRM_OK; k++)
        status = check_equal(&list->argument[k], first[k], rank, err);
    return trm_agree(comm, status, err);
}

int trm_arguments_any(MPI_Comm comm, int bits)
{
    int any = 0;
    MPI_Allreduce(&bits, &any, 1, MPI_INT, MPI_BOR, comm);
    return any;
}
