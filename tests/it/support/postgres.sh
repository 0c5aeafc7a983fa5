# Runs a temporary PostgreSQL server until standard input closes, then removes its files. Prints the folder
# of its socket when it accepts connections. The server's log is in the file `log` there. $1: the folder of its
# programs, $2: a postgresql.conf or nothing. All others are options of the server.
set -eu
programs=$1
config=$2
shift 2
folder=$(mktemp -d)
as=""
if [ "$(id -u)" = 0 ]; then
    # PostgreSQL refuses to run as root.
    user=$(id -u postgres >/dev/null 2>&1 && echo postgres || echo nobody)
    chown "$user" "$folder"
    as="setpriv --reuid=$user --regid=$(id -g "$user") --clear-groups"
fi
if [ -n "$config" ]; then
    # A copy, as the user of the server may not read the folder of the sources.
    cat "$config" >"$folder/postgresql.conf"
    set -- -c "config_file=$folder/postgresql.conf" "$@"
fi
cd "$folder"
$as "$programs/initdb" -D "$folder/data" -U postgres -A trust -E UTF8 --no-sync >"$folder/log" 2>&1
$as "$programs/postgres" -D "$folder/data" -k "$folder" -c listen_addresses= -c fsync=off \
    -c full_page_writes=off -c max_connections=300 "$@" >>"$folder/log" 2>&1 &
server=$!
trap 'kill -INT $server 2>/dev/null || true; wait $server || true; rm -rf "$folder"' EXIT
until $as "$programs/pg_isready" -q -h "$folder" -U postgres; do
    kill -0 $server
    sleep 0.05
done
echo "$folder"
cat >/dev/null
