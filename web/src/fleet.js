// The devices of a facility in the order in which people need them, and the filters. Pure.

const RANKS = { critical: 3, warning: 2, info: 1 };

// How urgent a severity is; one that the page does not know counts as a warning.
export function rank(severity) {
    return RANKS[severity] ?? RANKS.warning;
}

// The most urgent first; among equals the one that has lasted longest.
export function byUrgency(alerts) {
    return [...alerts].sort((one, other) => rank(other.severity) - rank(one.severity) || one.since - other.since);
}

// The highest severity of the open alerts of each device.
export function worst(alerts) {
    const found = new Map();
    for (const { subject, severity } of alerts) {
        const known = found.get(subject.deviceId);
        if (!known || rank(severity) > rank(known)) found.set(subject.deviceId, severity);
    }
    return found;
}

// "silent", "connected", "disconnected" or "unknown". A device that keeps silent is silent, connected or not.
export function status(device) {
    if (device.status.silent) return "silent";
    if (device.status.connected === null) return "unknown";
    return device.status.connected ? "connected" : "disconnected";
}

const FILTERS = {
    all: () => true,
    alerts: (device) => device.openAlerts > 0,
    silent: (device) => status(device) === "silent",
    disconnected: (device) => status(device) === "disconnected",
};

export const SHOWS = Object.keys(FILTERS);

// How many devices each filter leaves.
export function counts(devices) {
    return Object.fromEntries(SHOWS.map((show) => [show, devices.filter(FILTERS[show]).length]));
}

const collator = new Intl.Collator(undefined, { numeric: true });

// The devices that match: those with the most urgent open alerts first, then those with acknowledged ones, silent ones, and the others,
// each by name. `severities` has the devices with open alerts.
export function select(devices, severities, { q = "", show = "all", profile = "" }) {
    const words = q.toLowerCase().split(/\s+/).filter(Boolean);
    const keep = FILTERS[show] ?? FILTERS.all;
    const urgency = (device) => {
        if (severities.has(device.deviceId)) return 10 + rank(severities.get(device.deviceId));
        return device.openAlerts ? 2 : status(device) === "silent" ? 1 : 0;
    };
    return devices
        .filter((device) => keep(device) && (!profile || device.profile === profile))
        .filter((device) => words.every((word) => `${device.deviceId} ${device.profile}`.toLowerCase().includes(word)))
        .map((device) => ({ device, urgency: urgency(device) }))
        .sort((one, other) => other.urgency - one.urgency || collator.compare(one.device.deviceId, other.device.deviceId))
        .map(({ device }) => device);
}
