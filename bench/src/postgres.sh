# Runs a temporary PostgreSQL server with fsync until standard input closes, then removes its files.
# Prints the server's process id when it is ready. $1: the folder of its programs, $2: a free port.
set -eu
programs=$1
port=$2
folder=$(mktemp -d)
as=""
if [ "$(id -u)" = 0 ]; then
    # PostgreSQL refuses to run as root.
    user=$(id -u postgres >/dev/null 2>&1 && echo postgres || echo nobody)
    chown "$user" "$folder"
    as="setpriv --reuid=$user --regid=$(id -g "$user") --clear-groups"
fi
cd "$folder"
$as "$programs/initdb" -D "$folder/data" -U postgres -A trust -E UTF8 --locale=C.UTF-8 >"$folder/log" 2>&1
$as "$programs/postgres" -D "$folder/data" -k "$folder" -p "$port" -c listen_addresses=127.0.0.1 \
    -c fsync=on -c synchronous_commit=on -c shared_buffers=512MB -c work_mem=64MB -c max_wal_size=4GB \
    -c max_connections=120 >>"$folder/log" 2>&1 &
server=$!
trap 'kill -INT $server 2>/dev/null || true; wait $server || true; rm -rf "$folder"' EXIT
trap 'exit 1' HUP INT TERM
tries=0
until grep -qs '^ready' "$folder/data/postmaster.pid"; do
    kill -0 $server
    tries=$((tries + 1))
    [ $tries -lt 600 ]
    sleep 0.05
done
echo "$server"
cat >/dev/null
