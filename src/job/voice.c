/* Lines and warnings; see voice.h. */
#include "job/voice.h"

#include "base/alloc.h"
#include "base/visible.h"
#include "kernel/blas_threads.h"
#include "store/labels.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>

void trm_voice_say(const trm_voice *voice, trm_line line, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *text = trm_visible_format(format, args);
    va_end(args);
    if (text != NULL && voice->say != NULL)
        voice->say(voice->context, line, text);
    trm_free(text);
}

void trm_warn(trm_voice *voice, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *text = trm_visible_format(format, args);
    va_end(args);
    if (text == NULL)
        return;
    if (voice->say != NULL)
        voice->say(voice->context, TRM_LINE_WARNING, text);
    if (voice->warnings == NULL)
        voice->warnings = json_array();
    json_array_append_new(voice->warnings, json_string(text));
    trm_free(text);
}

json_t *trm_voice_warnings(const trm_voice *voice)
{
    return voice->warnings != NULL ? json_incref(voice->warnings) : json_array();
}

void trm_voice_free(trm_voice *voice)
{
    json_decref(voice->warnings);
    voice->warnings = NULL;
}

/* ---- of what there is reason to warn ---- */

void trm_warn_of_class(trm_voice *voice, int64_t size, int64_t rows, const char *label)
{
    if (rows > 1 && 10 * size > 9 * rows)
        trm_warn(voice, "class %s holds %" PRId64 " of %" PRId64 " rows%s", label, size, rows,
                 size == rows ? ", all of them: were the labels ever written?" : ": are the labels right?");
}

static void warn_of_same(trm_voice *voice, const trm_store_file *file, const trm_store_file *earlier)
{
    if (file->queries != earlier->queries)
        trm_warn(voice, "queries '%s': the same file as '%s' of the store: each query is also a row of it",
                 file->path, earlier->path);
    else
        trm_warn(voice, "%s '%s': the same file as '%s': its rows are there twice", trm_file_kind(file),
                 file->path, earlier->path);
}

void trm_warn_of_files(trm_voice *voice, const trm_store *store)
{
    for (int i = 0; i < trm_store_file_count(store); i++) {
        const trm_store_file *file = trm_store_file_at(store, i);
        if (file->same_as >= 0)
            warn_of_same(voice, file, trm_store_file_at(store, (int)file->same_as));
    }
}

void trm_warn_of_zero_rows(trm_voice *voice, const trm_store *store, int64_t zero, int64_t first,
                           int64_t rows)
{
    if (zero == 0 || zero <= rows / 100)
        return;
    const trm_store_file *file = trm_file_of_row(store, first);
    const bool is_dataset = file->embeddings[0] == '/';
    trm_warn(voice,
             "%s '%s': %" PRId64 " of %" PRId64 " rows are all zero, the first is row %" PRId64
             "%s%s%s; was the store filled?",
             trm_file_kind(file), file->path, zero, rows, first - file->first,
             is_dataset ? " of dataset '" : "", is_dataset ? file->embeddings : "", is_dataset ? "'" : "");
}

void trm_warn_of_room(trm_voice *voice, const trm_claim *claim, double bytes)
{
    const double room = claim != NULL ? trm_claim_free_bytes(claim) : INFINITY;
    if (bytes > room)
        trm_warn(voice, "output '%s': may need %.1f MB, its folder has %.1f MB free", trm_claim_target(claim),
                 bytes / 1e6, room / 1e6);
}

void trm_warn_of_replaced(trm_voice *voice, const trm_claim *claim)
{
    if (claim != NULL && trm_claim_replaced(claim))
        trm_warn(voice, "another job wrote output '%s' while this one ran: replaced by this one's",
                 trm_claim_target(claim));
}

void trm_warn_of_blas(trm_voice *voice, const trm_run *run)
{
    char name[256];
    const char *caution = trm_blas_caution(trm_run_threads(run));
    if (caution == NULL || strcmp(trm_run_kernel(run), "blas") != 0)
        return;
    trm_blas_describe(name, sizeof name);
    trm_warn(voice, "--kernel blas: %s %s; --kernel fp32 needs no BLAS", name, caution);
}

void trm_warn_of_threads(trm_voice *voice, const trm_run *run)
{
    enum { MANY = 4 };
    const char *note = trm_run_threads_note(run);
    const int cores = trm_run_host_cores(run), threads = trm_run_threads(run);
    if (threads > MANY * cores)
        trm_warn(voice, "%d threads a rank on a host of %d cores are slower than %d", threads, cores, cores);
    if (note[0] != '\0')
        trm_voice_say(voice, TRM_LINE_NOTE, "threads    %s", note);
}
